import { randomStream } from '../../src/runtime/random.ts';

/** What happens to those who train in rounds, and to what they need. */
export const roundsFaults = [
  'kill worker',
  'kill trainer',
  'kill merger',
  'freeze worker',
  'cut link',
  'kill s3',
  'kill temporal',
  'freeze s3',
  'freeze temporal',
] as const;

export interface RoundsFault {
  readonly what: (typeof roundsFaults)[number];
  /** Whom it meets, where it is one of several. */
  readonly worker: number;
  /** Seconds after the fault before. */
  readonly after: number;
  /** Seconds that it lasts, where it does. */
  readonly lasts?: number;
}

/** About a round of tiny models: a fault may hit any part of it. */
const longest = 5;
/** Beyond what a worker may be silent for: its slot is trained by another, and it goes on unseen. */
const longestTrouble = 14;

/** Half of the faults come at once after the one before: several workers are gone together. */
export function roundsSchedule(faults: number, seed: number, workers: number): RoundsFault[] {
  return Array.from({ length: faults }, (_, i) => {
    const random = randomStream(seed, 'rounds', i);
    const what = roundsFaults[random.below(roundsFaults.length)]!;
    const span = random.next() < 0.5 ? longest / 10 : longest;
    const after = rounded(span * random.next());
    const fault = { what, worker: random.below(workers), after };
    return /^(freeze|cut)/.test(what) ? { ...fault, lasts: rounded(longestTrouble * random.next()) } : fault;
  });
}

const rounded = (seconds: number) => Math.round(1000 * seconds) / 1000;
