/**
 * What is counted of a phase while this worker trains it, and what each figure is. A phase that leaves begins at nought
 * when it comes back, as Prometheus expects it of counters.
 */
export const counters = {
  commits: 'Checkpoints that were committed.',
  commit_seconds: 'Seconds that these commits took, from a snapshot on the disk to the commit in the bucket.',
  store_failures: 'Times that a snapshot could not be sent, since the store was away.',
  trainer_crashes: 'Trainers that crashed, or that were ended since they hung.',
  divergences: 'Steps that ended in what a phase can not go on from.',
  retries: 'Attempts at a shard after one that failed or died.',
  lost_steps: 'Steps that had to be made again, since no checkpoint held them.',
} as const;

export type Counter = keyof typeof counters;
export type Counts = Record<Counter, number>;

/** All of them from the start, so that the first of a kind is seen as a rise. */
export const noCounts = (): Counts =>
  Object.fromEntries(Object.keys(counters).map((name) => [name, 0])) as Record<Counter, number>;

/** The name that Prometheus knows it by. */
export const counterName = (counter: Counter): string => `siglip2_${counter}_total`;
