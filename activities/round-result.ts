import { toRef } from '../src/checkpoint/documents.ts';
import type { Commit } from '../src/checkpoint/types.ts';
import type { Dependencies } from './dependencies.ts';
import { toldBy } from './told-by.ts';
import type { PhasePlan } from './types/plan.ts';
import type { ShardResult } from './types/shard.ts';

/** What a round came to, as a shard says it. */
export async function resultOfRound(deps: Dependencies, plan: PhasePlan, commit: Commit): Promise<ShardResult> {
  const { committed, attempt } = commit;
  // What else there is of figures lies in the bucket: a history is no place for them.
  const { figures: _, since: __, ...metrics } = commit.metrics;
  return { checkpoint: toRef(commit), metrics, committed, attempt, ...(await toldBy(deps, plan, commit)) };
}
