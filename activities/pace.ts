import { toDocument } from '../src/checkpoint/documents.ts';
import { paceKey } from '../src/checkpoint/keys.ts';
import type { Pace } from '../src/recipe/pace.ts';
import { nextCut } from '../src/recipe/shards.ts';
import { isRunnerError } from '../src/runtime/errors.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { PhasePlan } from './types/plan.ts';
import type { ShardInput } from './types/shard.ts';

/** How a phase is paced whose recipe leaves it to measurement: written down once, so that no resume chooses again. */
export async function recordedPace(store: ObjectStore, plan: PhasePlan): Promise<Pace | null> {
  if (plan.checkpointEvery !== 'auto') return null;
  const bytes = await store.get(paceKey(plan, plan.settings.sha256)).catch((error) => {
    if (isRunnerError(error, 'ObjectMissing')) return null;
    throw error;
  });
  if (bytes === null) return null;
  try {
    const { checkpointEvery, shardSteps } = JSON.parse(bytes.toString()) as Pace;
    if ([checkpointEvery, shardSteps].every((steps) => Number.isSafeInteger(steps) && steps > 0))
      return { checkpointEvery, shardSteps };
  } catch {
    // What is no pace is measured again: no byte of the state depends on it.
  }
  return null;
}

/** Of two attempts that measured, what was written first counts. */
export async function recordPace(store: ObjectStore, plan: PhasePlan, pace: Pace): Promise<Pace> {
  const key = paceKey(plan, plan.settings.sha256);
  try {
    await store.put(key, toDocument(pace), { ifAbsent: true, contentType: 'application/json' });
    return pace;
  } catch (error) {
    if (!isRunnerError(error, 'PreconditionFailed')) throw error;
    return (await recordedPace(store, plan)) ?? pace;
  }
}

/** Where the shard ends: the workflow cuts by what it knows, which before the first result is nothing. */
export function endOf({ plan, toStep, pace: known }: ShardInput, at: number, pace: Pace | null): number {
  return known || !pace || plan.shardSteps !== 'auto' ? toStep : nextCut(at, pace.shardSteps, toStep);
}
