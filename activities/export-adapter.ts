import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { adapterFolder, writeAdapterFolder } from '../src/checkpoint/hugging-face/adapter-folder.ts';
import { baseFingerprint } from '../src/checkpoint/hugging-face/read-adapter.ts';
import { restoreCheckpoint } from '../src/checkpoint/restore.ts';
import { withoutAdapter } from '../src/checkpoint/training-tensors.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import { adaptedLayers } from '../src/model/adapters.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { isTrainingFile, trainingTensor } from '../src/train/state-files.ts';
import type { Attempt, Dependencies } from './dependencies.ts';

/** Puts the adapters of a checkpoint into its export, as peft reads them; nothing where it has none. Returns their bytes. */
export async function exportAdapter(
  { store, scratch }: Dependencies,
  { model, lora }: PhaseSettings,
  checkpoint: CheckpointRef,
  prefix: string,
  attempt: Attempt,
): Promise<number> {
  if (!lora) return 0;
  const folder = join(scratch, 'exports', attempt.id);
  try {
    const files = ({ path }: { path: string }) => isTrainingFile(path);
    await restoreCheckpoint(store, checkpoint, folder, { files, signal: attempt.signal });
    const own = join(folder, adapterFolder);
    const weights = adaptedLayers(model, lora).map(({ layer }) => `${layer}.weight`);
    const base = await baseFingerprint(weights, async function* (weight) {
      yield await trainingTensor(folder, withoutAdapter(weight));
    });
    const names = await writeAdapterFolder(own, model, lora, (name) => trainingTensor(folder, name), base);
    let bytes = 0;
    for (const name of names) {
      await store.putFile(`${prefix}${adapterFolder}/${name}`, join(own, name), { signal: attempt.signal });
      bytes += (await stat(join(own, name))).size;
    }
    return bytes;
  } finally {
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}
