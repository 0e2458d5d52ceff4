import { randomStream } from '../../src/data/random.ts';
import type { Victim } from './harness.ts';

export interface Kill {
  readonly victim: Victim;
  /** Seconds after the kill before, or after the start of the run. */
  readonly after: number;
}

const victims: readonly Victim[] = ['worker', 'trainer', 's3', 'temporal'];
/** About what a small run takes: a kill may hit planning, training, evaluation, export or the time between. */
const longest = 20;

/** Whom to kill, and when: half of the kills come soon after the one before, to hit what is just coming back. */
export function killSchedule(kills: number, seed: number): Kill[] {
  return Array.from({ length: kills }, (_, i) => {
    const random = randomStream(seed, 'kills', i);
    const victim = victims[random.below(victims.length)]!;
    const span = random.next() < 0.5 ? longest / 10 : longest;
    return { victim, after: Math.round(1000 * span * random.next()) / 1000 };
  });
}
