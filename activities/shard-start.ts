import { newestCommit, readCommit } from '../src/checkpoint/commits.ts';
import { nameOf } from '../src/checkpoint/damage.ts';
import type { Commit } from '../src/checkpoint/types.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import { hashJson } from '../src/runtime/hash.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { ShardInput } from './types/shard.ts';

/**
 * What a checkpoint of a phase follows from: where the phase started, its settings and data, and the step. Where
 * shards are cut and attempts began is no part of it, so that any two attempts agree.
 */
export function inputHash(
  { plan, parent, skip = [] }: Pick<ShardInput, 'plan' | 'parent' | 'skip'>,
  step: number,
): string {
  const { settings, dataFingerprint, from, phase } = plan;
  const began = parent?.manifestSha256 ?? null;
  const made = { phase, parent: began, settings: settings.sha256, dataFingerprint, from: from.step, to: step };
  return hashJson(skip.length > 0 ? { ...made, skip } : made);
}

/**
 * The commit to go on from: the newest of this revision, else the one that the shard before ended with, else the one
 * that the phase started from.
 */
export async function newestStart(store: ObjectStore, input: ShardInput): Promise<Commit | null> {
  const { plan, revision, parent, from, toStep } = input;
  // Retention may have left only a later commit than the one that is asked for: it is as good, up to where others
  // branch off, whose checkpoint must be seen.
  const seen = from?.step ?? plan.from.step;
  const cut = Math.min(plan.to.step, ...plan.branches.filter((step) => step > seen));
  const range = { fromStep: from?.step ?? 0, toStep: Math.max(toStep, cut) };
  const commit = await newestCommit(store, plan, revision, range);
  // What the workflow recorded is trusted: it may have been made under other settings, before an override.
  if (!commit) return from || parent ? readCommit(store, (from ?? parent)!) : null;
  if (commit.inputHash !== inputHash(input, commit.step))
    throw new RunnerError(
      'TwoRunsUnderOneName',
      `${nameOf(commit)} was made from other data or settings than this run has now; start the run under another --workflow-id`,
    );
  return commit;
}
