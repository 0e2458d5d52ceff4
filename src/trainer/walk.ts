import { placeOf } from '../recipe/lanes.ts';
import type { TrainJob } from './protocol.ts';

/** Where the steps of a job stand in its phase. */
export interface Walk {
  /** The batch of a step, counted from where the phase began, without those that are left out. */
  batch(step: number): number;
  /** The step of the phase that it counts as: on the schedule and in what is told. */
  place(step: number): number;
}

/** Steps of a job are those of the phase; steps of a lane count on from where its round began, as Adam does. */
export function walkOf({ begins, lane }: Pick<TrainJob, 'begins' | 'lane'>): Walk {
  if (!lane) return { batch: (step) => step - begins.step - 1, place: (step) => step };
  return {
    batch: (step) => lane.first - begins.step - 1 + (step - lane.from - 1),
    place: (step) => placeOf(lane, step - lane.from - 1),
  };
}
