import { pin } from '../src/checkpoint/pins.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import { isTimeToEvaluate } from '../src/recipe/evaluation-time.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { ShardInput } from './types/shard.ts';

/** Longer than an evaluation takes; one that was stopped holds its checkpoint no longer than this, to go on with it. */
export const heldMs = 14 * 24 * 3_600_000;

/** Who holds a checkpoint until its evaluation by a task is planned, and holds it by itself. */
export const dueHolder = (task: string): string => `due-${task}`;

/**
 * Holds what a shard ended with, where tasks are to look at it on the way: an evaluation may wait for hours until it is planned,
 * and pruning does not. Doing it again changes nothing.
 */
export async function holdWhatIsDue(
  store: ObjectStore,
  { plan: { tasks, from: beginning, to }, from }: ShardInput,
  checkpoint: CheckpointRef,
): Promise<void> {
  const { step } = checkpoint;
  if (!tasks?.every || step === to.step) return;
  if (!isTimeToEvaluate(tasks.every, from?.step ?? beginning.step, step)) return;
  for (const { name } of tasks.documents) await pin(store, checkpoint, dueHolder(name), { untilMs: heldMs });
}
