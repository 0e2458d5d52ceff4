import type { Recipe } from './schema.ts';

/**
 * How often a phase is checkpointed and how long its shards are where the recipe leaves that to measurement. Where
 * either falls changes no byte of the state, so what a machine was measured to need may decide.
 */
export interface Pace {
  readonly checkpointEvery: number;
  readonly shardSteps: number;
}

/** What the first steps of a phase and its first checkpoint took, in seconds. */
export interface Timings {
  /** A step while nothing is uploaded. */
  readonly step: number;
  /** Training stood still for the snapshot. */
  readonly stall: number;
  /** The steps until it was committed took so much longer, all together. */
  readonly slowed: number;
  /** From the snapshot to its commit, without waiting for a store that was away. */
  readonly upload: number;
}

/** Of the time of training what checkpoints may take, and what the ends of shards, whose last upload is waited for. */
const checkpointShare = 0.02;
const shardEndShare = 0.005;
/** Nobody minds losing a minute; a checkpoint is a dozen requests, however small. */
const shortestInterval = 60;
const shardSeconds = 600;
const longestShard = 7200;
/** Retention looks at the end of a shard: until then all of them lie in the bucket. */
export const mostOfShard = 10;

/** Steps between checkpoints and of a shard, from what was measured. Never is there less than one upload's time between. */
export function choosePace({ step, stall, slowed, upload }: Timings): Pace {
  // Uploads share cores and links with training, but never cost more than if it had stood still for them.
  const cost = stall + Math.min(Math.max(0, slowed), upload);
  const seconds = Math.min(Math.max(shardSeconds, (stall + upload) / shardEndShare), longestShard);
  const between = Math.max(cost / checkpointShare, upload, shortestInterval, seconds / mostOfShard);
  const checkpointEvery = rounded(between / Math.max(step, 1e-6));
  const checkpoints = Math.max(1, Math.round(seconds / (checkpointEvery * step)));
  return { checkpointEvery, shardSteps: checkpoints * checkpointEvery };
}

/** Up to two digits: people read it. */
function rounded(steps: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(steps, 1))) - 1);
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(1, Math.ceil(steps / unit) * unit));
}

/** What a recipe says itself of how its phases are paced. */
export function plannedPace({ checkpoint: { every, shard } }: Pick<Recipe, 'checkpoint'>): {
  readonly checkpointEvery: number | 'auto';
  readonly shardSteps: number | 'auto';
} {
  const own = shard === 'auto' ? undefined : shard.steps;
  if (every === 'auto') return { checkpointEvery: 'auto', shardSteps: own ?? 'auto' };
  return { checkpointEvery: every.steps, shardSteps: own ?? Math.max(300, 3 * every.steps) };
}
