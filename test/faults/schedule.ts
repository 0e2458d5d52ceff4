import { randomStream } from '../../src/runtime/random.ts';
import type { Victim } from './harness.ts';

/** Weather between the worker and a service, and a disk without room. */
export const troubles = ['s3 cut', 'temporal cut', 's3 slow', 's3 errors', 's3 resets', 'disk full'] as const;
export type Trouble = (typeof troubles)[number];

export interface Kill {
  readonly victim: Victim | Trouble;
  /** Seconds after the kill before; when the run ends first, what is left of them after the start of the next. */
  readonly after: number;
  /** Seconds that a trouble stays. */
  readonly lasts?: number;
}

export const isTrouble = (victim: Victim | Trouble): victim is Trouble =>
  (troubles as readonly string[]).includes(victim);

const victims: readonly Victim[] = ['worker', 'trainer', 's3', 'temporal'];
/** About what a small run takes: a kill may hit planning, training, evaluation, export or the time between. */
const longest = 20;
/** Beyond what a worker may be silent for: another attempt begins beside one that goes on unseen. */
const longestTrouble = 25;

/** Whom to kill, and when: half of the kills come soon after the one before, to hit what is just coming back. */
export function killSchedule(kills: number, seed: number, { weather = false } = {}): Kill[] {
  return Array.from({ length: kills }, (_, i) => {
    const random = randomStream(seed, 'kills', i);
    const victim = victims[random.below(victims.length)]!;
    const span = random.next() < 0.5 ? longest / 10 : longest;
    const after = Math.round(1000 * span * random.next()) / 1000;
    if (!weather || random.next() < 0.4) return { victim, after };
    const lasts = Math.round(1000 * longestTrouble * random.next() ** 2) / 1000;
    return { victim: troubles[random.below(troubles.length)]!, after, lasts };
  });
}
