import { toRef } from '../src/checkpoint/documents.ts';
import { readManifest } from '../src/checkpoint/manifest.ts';
import type { Commit } from '../src/checkpoint/types.ts';
import type { Dependencies } from './dependencies.ts';
import { toldBy } from './told-by.ts';
import type { PhasePlan } from './types/plan.ts';
import type { RoundResult } from './types/rounds.ts';
import type { ShardResult } from './types/shard.ts';

/** What a round came to, as a shard says it. */
export async function resultOfRound(deps: Dependencies, plan: PhasePlan, commit: Commit): Promise<ShardResult> {
  const { committed, attempt } = commit;
  // What else there is of figures lies in the bucket: a history is no place for them.
  const { figures: _, since: __, ...metrics } = commit.metrics;
  return { checkpoint: toRef(commit), metrics, committed, attempt, ...(await toldBy(deps, plan, commit)) };
}

/**
 * How fast the members of the round were that a checkpoint ends, for a phase whose lanes are dealt by that. It is read from
 * the checkpoint whoever asks, so that a run that begins anew from there deals the next round as one that never ended.
 */
export async function pacesAfter(
  { store }: Pick<Dependencies, 'store'>,
  { replicas }: PhasePlan,
  commit: Commit,
): Promise<Pick<RoundResult, 'paces'>> {
  if (replicas?.lanes !== 'paced') return {};
  const { round } = (await readManifest(store, commit)).manifest;
  const members = round?.members ?? [];
  return { paces: members.flatMap(({ slot, pace }) => (pace === undefined ? [] : [{ slot, pace }])) };
}
