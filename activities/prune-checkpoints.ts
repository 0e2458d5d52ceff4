import { unpin } from '../src/checkpoint/pins.ts';
import { pruneCheckpoints as prune } from '../src/checkpoint/retention.ts';
import { sweepRun } from '../src/checkpoint/sweep.ts';
import { borrowerName } from './borrow.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { beat } from './heartbeat.ts';
import type { PruneInput, SweepInput } from './types.ts';

/**
 * Deletes the checkpoints of a phase that nobody needs any more. Safe to call again after any failure: what it deletes
 * is decided by what lies in the bucket.
 */
export async function pruneCheckpoints(
  { store, log }: Dependencies,
  { plan, from }: PruneInput,
  attempt: Attempt,
): Promise<{ removed: number }> {
  const heart = beat(attempt);
  try {
    const steps = [...plan.branches, plan.to.step];
    const keep = { newest: plan.keep ?? Number.POSITIVE_INFINITY, steps, used: from ? [from] : [] };
    const removed = await prune(store, plan, keep);
    if (removed.length > 0)
      log.info({ run: plan.run, phase: plan.phase, steps: removed.map(({ step }) => step) }, 'pruned');
    return { removed: removed.length };
  } finally {
    heart.stop();
  }
}

/**
 * After the last attempt of a phase, or of a run: removes what attempts left that did not come to a commit, and lets
 * go of what the phase had borrowed.
 */
export async function sweep(
  { store, log }: Dependencies,
  { run, plan }: SweepInput,
  attempt: Attempt,
): Promise<{ prefixes: number; uploads: number }> {
  const heart = beat(attempt);
  try {
    if (plan?.origin && 'checkpoint' in plan.origin)
      await unpin(store, plan.origin.checkpoint, borrowerName(run, plan.phase));
    // A zombie that comes back later finds its objects gone before its commit counts, and takes that back.
    const { prefixes, uploads } = await sweepRun(store, run, { graceMs: 0, ...(plan ? { phase: plan.phase } : {}) });
    if (prefixes.length + uploads > 0) log.info({ run, prefixes, uploads }, 'swept');
    return { prefixes: prefixes.length, uploads };
  } finally {
    heart.stop();
  }
}
