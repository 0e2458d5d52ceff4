import { checkpointDamaged } from '../checkpoint/damage.ts';
import { readModelConfig } from '../checkpoint/hugging-face/read-config.ts';
import { readManifest } from '../checkpoint/manifest.ts';
import type { CheckpointRef, Manifest } from '../checkpoint/types.ts';
import type { ModelConfig } from '../model/sizes.ts';
import type { HeldModel } from '../recipe/models.ts';
import { sha256 } from '../runtime/hash.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { storedTensors } from './stored-header.ts';

/** What a checkpoint in the bucket holds, by what lies beside its tensors and by the ids of its token table. */
export async function heldModel(store: ObjectStore, ref: CheckpointRef): Promise<HeldModel> {
  const { manifest } = await readManifest(store, ref);
  const training = manifest.state.filter(({ path }) => path.startsWith('training-'));
  let vocabulary: readonly number[] | null = null;
  for (const { path, bytes } of training) vocabulary ??= await vocabularyIn(store, ref, manifest.prefix + path, bytes);
  const model = await configOf(store, ref, manifest);
  return { name: `${ref.run}/${ref.phase}@${ref.step}`, model, vocabulary };
}

/** The shapes of the towers, by the config.json that was committed with them. */
async function configOf(store: ObjectStore, ref: CheckpointRef, manifest: Manifest): Promise<ModelConfig> {
  const key = `${manifest.prefix}config.json`;
  const bytes = await store.get(key);
  if (manifest.sidecars.find(({ path }) => path === 'config.json')?.sha256 !== sha256(bytes))
    throw checkpointDamaged(ref, key, 'is not what was committed');
  return readModelConfig(bytes.toString('utf8'), `s3://${store.bucket}/${key}`);
}

/** The ids that a file of training state names; null when it names none. Only its header and they are fetched. */
async function vocabularyIn(store: ObjectStore, ref: CheckpointRef, key: string, bytes: number) {
  const found = (await storedTensors(store, ref, key, bytes)).get('vocabulary');
  if (!found) return null;
  const ids = await store.get(key, { offset: found.offset, size: found.bytes });
  return Array.from({ length: ids.length / 4 }, (_, i) => ids.readInt32LE(4 * i));
}
