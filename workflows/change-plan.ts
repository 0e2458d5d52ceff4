import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/types.ts';
import type { Overrides } from '../src/recipe/overrides.ts';
import type { PhaseProgress } from './phase-progress.ts';
import { lightOptions } from './policies.ts';

const { replan } = proxyActivities<Activities>(lightOptions);

/** Other settings for what is left of a phase. They give other bytes, so its revision goes up. */
export async function change(phase: PhaseProgress, { skip: leftOut, ...overrides }: Overrides): Promise<void> {
  if (leftOut) {
    phase.leaveOut(Array.from({ length: leftOut.to - leftOut.from + 1 }, (_, i) => leftOut.from + i));
    phase.note(`leaves out batches ${leftOut.from} to ${leftOut.to}`);
  }
  if (Object.keys(overrides).length > 0) {
    const { plan, position: at, skip } = phase;
    const { skip: counted, ...changed } = await replan({ plan, overrides, at, skip });
    phase.plan = changed;
    phase.skip = counted ?? skip;
    // Other settings, other times.
    phase.pace = null;
  } else if (!leftOut) return;
  phase.revision += 1;
}

/** More steps, over which the rest of the schedule is spread. */
export async function extend(phase: PhaseProgress, steps: number): Promise<void> {
  phase.plan = await replan({ plan: phase.plan, overrides: {}, extend: { steps, at: phase.position } });
  phase.revision += 1;
}
