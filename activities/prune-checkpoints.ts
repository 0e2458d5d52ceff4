import { releasePhase, releaseRun } from '../src/checkpoint/borrowed.ts';
import { recordEnd } from '../src/checkpoint/ends.ts';
import { moveHint } from '../src/checkpoint/hint.ts';
import { pruneCheckpoints as prune } from '../src/checkpoint/retention.ts';
import { sweepRun } from '../src/checkpoint/sweep.ts';
import { releaseWatched } from '../src/checkpoint/watched.ts';
import type { Place } from '../src/run-logs/segment.ts';
import { tidyLogs } from '../src/run-logs/tidy.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { beat } from './heartbeat.ts';
import type { PhasePlan } from './types/plan.ts';
import type { PruneInput, SweepInput } from './types/shard.ts';

/**
 * Deletes the checkpoints of a phase that nobody needs any more. Safe to call again after any failure: what it deletes
 * is decided by what lies in the bucket.
 */
export async function pruneCheckpoints(
  deps: Dependencies,
  { plan, from, revision }: PruneInput,
  attempt: Attempt,
): Promise<{ removed: number }> {
  const { store, log } = deps;
  const heart = beat(attempt);
  try {
    const steps = [...plan.branches, plan.to.step];
    const keep = { newest: plan.keep ?? Number.POSITIVE_INFINITY, steps, used: from ? [from] : [], revision };
    const removed = await prune(store, plan, keep);
    if (removed.length > 0)
      log.info({ run: plan.run, phase: plan.phase, steps: removed.map(({ step }) => step) }, 'pruned');
    await tidied(deps, { run: plan.run, phase: plan.phase });
    return { removed: removed.length };
  } finally {
    heart.stop();
  }
}

/**
 * After the last attempt of a phase, or of a run: records what the phase ended with, lets go of what it had borrowed,
 * and removes what attempts left that did not come to a commit.
 */
export async function sweep(
  deps: Dependencies,
  { run, plan, ended }: SweepInput,
  attempt: Attempt,
): Promise<{ prefixes: number; uploads: number }> {
  const { store, log } = deps;
  const heart = beat(attempt);
  try {
    if (ended) {
      await recordEnd(store, ended);
      await moveHint(store, ended);
      // Held by its end from now on.
      if (plan) await releaseWatched(store, plan);
    }
    const { prefixes, uploads } = await tidying(attempt, async () => {
      await (plan ? releasePhase(store, plan, borrowedBy(plan)) : releaseRun(store, run));
      // A zombie that comes back later finds its objects gone before its commit counts, and takes that back.
      return sweepRun(store, run, { graceMs: 0, ...(plan ? { phase: plan.phase } : {}) });
    });
    if (prefixes.length + uploads > 0) log.info({ run, prefixes, uploads }, 'swept');
    await tidied(deps, { run, phase: plan?.phase ?? null });
    return { prefixes: prefixes.length, uploads };
  } finally {
    heart.stop();
  }
}

/** Logs are for people: no run waits for them. */
const tidied = ({ store, log }: Dependencies, place: Place) =>
  tidyLogs(store, place).catch((error) => log.warn(place, `the log was not tidied: ${error.message}`));

/** A phase that was planned alone has found these in the bucket by itself. */
function borrowedBy({ origin, curation }: PhasePlan) {
  return [origin, curation?.teacher].flatMap((source) => (source && 'checkpoint' in source ? [source.checkpoint] : []));
}

/** What only takes room is not waited for without end: a store that is away for longer keeps no run open. */
const tidyAttempts = 5;

async function tidying<T>(attempt: Attempt, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (attempt.number < tidyAttempts || !isRunnerError(error)) throw error;
    throw new RunnerError(error.code, error.message, { details: { ...error.details, final: true }, cause: error });
  }
}
