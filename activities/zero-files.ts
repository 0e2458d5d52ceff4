import { createHash } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { stateKey } from '../src/checkpoint/base-files.ts';
import { checkpointDamaged } from '../src/checkpoint/damage.ts';
import { chunkBytes, partOf } from '../src/checkpoint/download.ts';
import { isTrainingFile } from '../src/checkpoint/training-files.ts';
import type { CheckpointRef, Manifest, StateFile } from '../src/checkpoint/types.ts';
import { requireSpace } from '../src/runtime/disk.ts';
import { openRanged, type ReadRange } from '../src/safetensors/ranged.ts';
import type { TensorInfo } from '../src/safetensors/safetensors-header.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import { zeros } from './state-after.ts';

export interface ZeroFilesOptions {
  /** Whether a tensor of this name should be zero. Where it is not the hash says so, and the file is fetched. */
  readonly isZero: (name: string) => boolean;
  readonly signal: AbortSignal;
  /** Of what is fetched. */
  onBytes(bytes: number): void;
}

/**
 * Makes the training files of a checkpoint that are zeros for the most part, in place of fetching them: moments that begin at
 * zero are two thirds of a state. Of each file the header is fetched and what is not zero, and what comes of it is held against
 * the hash that was committed. Any other file is left to be fetched.
 *
 * @returns the files that were made
 */
export async function makeZeroFiles(
  store: Pick<ObjectStore, 'get'>,
  ref: CheckpointRef,
  manifest: Manifest,
  folder: string,
  { isZero, signal, onBytes }: ZeroFilesOptions,
): Promise<StateFile[]> {
  const made: StateFile[] = [];
  for (const file of manifest.state) {
    if (!isTrainingFile(file.path)) continue;
    const key = stateKey(manifest, file);
    const header: Uint8Array[] = [];
    const read: ReadRange = async (offset, size) => {
      signal.throwIfAborted();
      const bytes = await store.get(key, { offset, size });
      onBytes(bytes.length);
      return bytes;
    };
    const readHeader: ReadRange = async (offset, size) => {
      const bytes = await read(offset, size);
      header.push(bytes);
      return bytes;
    };
    const damaged = (problem: string) => checkpointDamaged(ref, key, problem);
    const { tensors } = await openRanged(key, file.bytes, readHeader, damaged);
    const zero = [...tensors.values()].reduce((sum, { name, bytes }) => sum + (isZero(name) ? bytes : 0), 0);
    if (zero < file.bytes / 2) continue;
    await mkdir(folder, { recursive: true });
    if (await writeFile(join(folder, file.path), file, joined(header, tensors, isZero, read))) made.push(file);
  }
  return made;
}

/** The bytes of a file, in their order. */
async function* joined(
  header: readonly Uint8Array[],
  tensors: ReadonlyMap<string, TensorInfo>,
  isZero: ZeroFilesOptions['isZero'],
  read: ReadRange,
): AsyncGenerator<Uint8Array> {
  yield* header;
  for (const { name, offset, bytes } of [...tensors.values()].sort((a, b) => a.offset - b.offset)) {
    if (isZero(name)) yield* zeros(bytes);
    else
      for (let done = 0; done < bytes; done += chunkBytes)
        yield await read(offset + done, Math.min(chunkBytes, bytes - done));
  }
}

/** Whether these bytes are the file; its name appears when they are. What a kill leaves is a part that a download goes on from. */
async function writeFile(target: string, file: StateFile, bytes: AsyncIterable<Uint8Array>): Promise<boolean> {
  await requireSpace(join(target, '..'), file.bytes);
  const part = partOf(target, file);
  const hash = createHash('sha256');
  const output = await open(part, 'w');
  try {
    for await (const some of bytes) {
      hash.update(some);
      await output.writeFile(some);
    }
  } finally {
    await output.close();
  }
  const isRight = hash.digest('hex') === file.sha256;
  if (isRight) await rename(part, target);
  else await rm(part);
  return isRight;
}
