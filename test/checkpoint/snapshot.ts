import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { CheckpointToCommit } from '../../src/checkpoint/commit.ts';
import { modelConfigFile } from '../../src/checkpoint/hugging-face/config.ts';
import { hashJson, sha256 } from '../../src/runtime/hash.ts';
import { type TensorToWrite, writeSafetensors } from '../../src/safetensors/safetensors.ts';
import { tinyModel } from './hugging-face/tiny-folder.ts';

const made: string[] = [];
afterAll(() => Promise.all(made.map((folder) => rm(folder, { recursive: true, force: true }))));

/** A snapshot as a trainer leaves it: real safetensors files whose content is a pure function of `seed`. */
export async function makeSnapshot(
  at: Partial<CheckpointToCommit> & { run: string; step: number; attempt: string },
  options: { seed?: number; floats?: number } = {},
): Promise<CheckpointToCommit> {
  const { seed = at.step, floats = 1000 } = options;
  const folder = await mkdtemp(join(tmpdir(), 'siglip2-snapshot-'));
  made.push(folder);
  const tensor = (name: string): TensorToWrite => {
    const values = new Float32Array(floats);
    for (let i = 0; i < floats; i++) values[i] = seed + i + name.length;
    return { name, dtype: 'F32', shape: [floats], data: new Uint8Array(values.buffer) };
  };
  const file = async (path: string, names: string[]) => ({
    path,
    ...(await writeSafetensors(join(folder, path), names.map(tensor))),
  });
  return {
    phase: 'pretrain',
    revision: 0,
    examples: at.step * 256,
    folder,
    state: [
      await file('model.safetensors', ['vision', 'text']),
      await file('training-moments.safetensors', ['mu', 'nu']),
    ],
    sidecars: [modelConfigFile(tinyModel)],
    parent: null,
    inputHash: hashJson({ from: 0, to: at.step }),
    recipeHash: sha256('recipe'),
    codeVersion: '0.1.0',
    dataFingerprint: sha256('data'),
    skipped: [],
    metrics: { loss: 1.5, examplesPerSecond: 100, dataWaitShare: 0.01 },
    ...at,
  };
}

/** The same snapshot made by another attempt, which did not see the first one's times. */
export function byAnother(snapshot: CheckpointToCommit, attempt: string): CheckpointToCommit {
  return { ...snapshot, attempt, metrics: { ...snapshot.metrics, examplesPerSecond: 99 } };
}

export async function overwrite(folder: string, path: string, content: Uint8Array | string): Promise<void> {
  await writeFile(join(folder, path), content);
}
