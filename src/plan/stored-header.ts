import { checkpointDamaged } from '../checkpoint/damage.ts';
import type { CheckpointRef } from '../checkpoint/types.ts';
import { openRanged } from '../safetensors/safetensors.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/** The tensors that a safetensors file of a checkpoint names; nothing but its header is fetched. CheckpointDamaged. */
export async function storedTensors(store: ObjectStore, ref: CheckpointRef, key: string, bytes: number) {
  const read = (offset: number, size: number) => store.get(key, { offset, size });
  return (await openRanged(key, bytes, read, (problem) => checkpointDamaged(ref, key, problem))).tensors;
}
