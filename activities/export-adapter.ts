import { existsSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { baseFile } from '../src/checkpoint/base-files.ts';
import { composeModel, modelFile } from '../src/checkpoint/compose-model.ts';
import { adapterFolder, writeAdapterFolder } from '../src/checkpoint/hugging-face/adapter-folder.ts';
import { baseFingerprint } from '../src/checkpoint/hugging-face/read-adapter.ts';
import { restoreCheckpoint } from '../src/checkpoint/restore.ts';
import { isTrainingFile } from '../src/checkpoint/training-files.ts';
import { withoutAdapter } from '../src/checkpoint/training-tensors.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import { adaptedLayers } from '../src/model/adapters.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { SafetensorsFile } from '../src/safetensors/safetensors.ts';
import { trainingTensor } from '../src/train/state-files.ts';
import type { Attempt, Dependencies } from './dependencies.ts';

/**
 * Puts the adapters of a checkpoint into its export, as peft reads them, and the model with them added, where the checkpoint
 * does not hold it as a file; nothing where it has none. Returns what there is of the model, and the bytes of the adapters.
 */
export async function exportAdapter(
  { store, scratch }: Dependencies,
  { model, lora }: PhaseSettings,
  checkpoint: CheckpointRef,
  prefix: string,
  attempt: Attempt,
): Promise<{ bytes: number; model: { bytes: number; sha256: string } | null }> {
  if (!lora) return { bytes: 0, model: null };
  const { signal } = attempt;
  const folder = join(scratch, 'exports', attempt.id);
  try {
    const { manifest } = await restoreCheckpoint(store, checkpoint, folder, {
      files: ({ path }) => isTrainingFile(path) || path === baseFile,
      signal,
    });
    const whole = join(folder, modelFile);
    const composed = manifest.state.some(({ path }) => path === baseFile)
      ? await composeModel(folder, manifest.state)
      : null;
    if (composed) await store.putFile(prefix + modelFile, whole, { sha256: composed.sha256, signal });
    const own = join(folder, adapterFolder);
    const weights = adaptedLayers(model, lora).map(({ layer }) => `${layer}.weight`);
    const base = await baseFingerprint(weights, async function* (weight) {
      yield await weightWithout(folder, weight);
    });
    const names = await writeAdapterFolder(own, model, lora, (name) => trainingTensor(folder, name), base);
    let bytes = 0;
    for (const name of names) {
      await store.putFile(`${prefix}${adapterFolder}/${name}`, join(own, name), { signal });
      bytes += (await stat(join(own, name))).size;
    }
    return { bytes, model: composed };
  } finally {
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

/** The bytes of a weight as it is without its adapter; up to release 0.2.0 it lay beside the model. */
async function weightWithout(folder: string, weight: string): Promise<Uint8Array> {
  const path = join(folder, baseFile);
  if (!existsSync(path)) return trainingTensor(folder, withoutAdapter(weight));
  const file = await SafetensorsFile.open(path);
  return file.read(weight).finally(() => file.close());
}
