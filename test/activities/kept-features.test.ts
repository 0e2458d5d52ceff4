import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { planPhase } from '../../activities/plan-phase.ts';
import { trainShard } from '../../activities/train-shard.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import { readCommit } from '../../src/checkpoint/commits.ts';
import { importModel } from '../../src/checkpoint/hugging-face/import-model.ts';
import { restoreCheckpoint } from '../../src/checkpoint/restore.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import { newRecipe } from '../../src/commands/recipe-new.ts';
import { fullVocabulary, type ModelConfig } from '../../src/model/sizes.ts';
import { StateFiles } from '../../src/train/state-files.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import { tinyTensors, writeFolder } from '../checkpoint/hugging-face/tiny-folder.ts';
import { realTrainer } from './real-trainer.ts';

const real = realTrainer();
const model: ModelConfig = {
  vision: { width: 4, depth: 1, mlp: 8, heads: 2, patch: 4, resolution: 16 },
  text: { width: 4, depth: 1, mlp: 8, heads: 2, length: 6, vocabulary: fullVocabulary },
};
let base: CheckpointRef;

beforeAll(async () => {
  const { store, on } = real();
  await writeFolder(join(on.folder, 'base'), tinyTensors(model), { model });
  const at = { scratch: on.folder, codeVersion: '0', attempt: 'base' };
  base = await importModel(store, join(on.folder, 'base'), 'base', at);
});

/** What `recipe new --task lit` writes, with or without embeddings that are kept. */
async function planned(run: string, frozenFeatures: 'kept' | 'online'): Promise<PhasePlan> {
  const { store, on, trainer } = real();
  const asked = { task: 'lit', from: 'base', data: 'data/emoji/train', device: null, open: () => store };
  const { recipe } = await newRecipe(asked);
  const phases = (recipe as { phases: readonly object[] }).phases.map((phase) => ({ ...phase, frozenFeatures }));
  return planPhase(on.deps(store, { trainer }), { run, recipe: { ...recipe, phases, precision: 'f32' } }, on.attempt());
}

function train(plan: PhasePlan, toStep: number, from: CheckpointRef | null = null, by?: TrainerProcess) {
  const { store, on, trainer } = real();
  const job = { plan, revision: 0, parent: base, from, toStep };
  return trainShard(on.deps(store, { trainer: by ?? trainer }), job, on.attempt());
}

const lossOf = async ({ checkpoint }: { checkpoint: CheckpointRef }) =>
  (await readCommit(real().store, checkpoint)).metrics.loss;

async function imageTower(ref: CheckpointRef): Promise<Record<string, Float32Array>> {
  const { store, on } = real();
  const folder = join(on.folder, `read-${ref.run}-${ref.step}`);
  await restoreCheckpoint(store, ref, folder);
  const files = await StateFiles.open(folder);
  const names = [...files.model.tensors.keys()].filter((name) => name.startsWith('vision_model.'));
  const read = await Promise.all(names.map(async (name) => [name, await files.model.readFloats(name)] as const));
  await files.close();
  return Object.fromEntries(read);
}

it('a run on kept embeddings has the loss of one without, its image tower as it was, and the same bytes by another trainer in the middle', async () => {
  const { on, env } = real();
  const whole = await train(await planned('kept', 'kept'), 6);
  const online = await train(await planned('online', 'online'), 6);
  const [loss, without] = [await lossOf(whole), await lossOf(online)];
  expect(Math.abs(loss - without) / without).toBeLessThan(1e-5);

  const towers = await Promise.all([base, whole.checkpoint].map(imageTower));
  expect(Object.keys(towers[0]!).length).toBeGreaterThan(10);
  expect(towers[1]).toEqual(towers[0]);

  const plan = await planned('halves', 'kept');
  const { checkpoint } = await train(plan, 3);
  const other = createTrainerProcess({ lockFile: join(on.folder, 'other.lock'), log: { info() {}, warn() {} }, env });
  try {
    const last = await train(plan, 6, checkpoint, other);
    expect(last.checkpoint.sha256).toBe(whole.checkpoint.sha256);
  } finally {
    await other.close();
  }
});
