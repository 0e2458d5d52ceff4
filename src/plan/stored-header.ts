import { checkpointDamaged } from '../checkpoint/damage.ts';
import type { CheckpointRef } from '../checkpoint/types.ts';
import { parseHeader } from '../safetensors/safetensors-header.ts';
import type { ObjectStore } from '../storage/object-store.ts';

const largestHeader = 16 * 1024 * 1024;

/** The tensors that a safetensors file of a checkpoint names; nothing but its header is fetched. CheckpointDamaged. */
export async function storedTensors(store: ObjectStore, ref: CheckpointRef, key: string, bytes: number) {
  const fail = (problem: string) => checkpointDamaged(ref, key, problem);
  const length = Number((await store.get(key, { offset: 0, size: 8 })).readBigUInt64LE());
  if (length > largestHeader || 8 + length > bytes) throw fail(`claims a header of ${length} bytes`);
  const header = await store.get(key, { offset: 8, size: length });
  return parseHeader(header, bytes - 8 - length, fail).tensors;
}
