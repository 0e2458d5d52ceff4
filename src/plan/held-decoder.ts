import { readManifest } from '../checkpoint/manifest.ts';
import type { CheckpointRef } from '../checkpoint/types.ts';
import { decoderDepth } from '../model/decoder-parameters.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { storedTensors } from './stored-header.ts';

/** The decoder of a checkpoint: its layers, and which files of the checkpoint hold it. */
export interface HeldDecoder {
  readonly depth: number;
  readonly files: readonly string[];
}

/**
 * What a checkpoint has of a decoder, by the headers of its training state; null where it has none, as imports and phases
 * without captioning. The files hold moments too: whoever wants the decoder fetches three times its size.
 */
export async function heldDecoder(store: ObjectStore, ref: CheckpointRef): Promise<HeldDecoder | null> {
  const { manifest } = await readManifest(store, ref);
  const files: string[] = [];
  let depth = 0;
  for (const { path, bytes } of manifest.state.filter(({ path }) => path.startsWith('training-'))) {
    const names = [...(await storedTensors(store, ref, manifest.prefix + path, bytes)).keys()];
    depth = Math.max(depth, decoderDepth(names));
    if (names.some((name) => name.startsWith('decoder.') || name === 'vocabulary')) files.push(path);
  }
  return depth > 0 ? { depth, files } : null;
}
