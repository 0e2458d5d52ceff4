import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { planPhase } from '../../activities/plan-phase.ts';
import { scoreShard } from '../../activities/score-shard.ts';
import { sealScores } from '../../activities/seal-scores.ts';
import { trainShard } from '../../activities/train-shard.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import { readCommit } from '../../src/checkpoint/commits.ts';
import { importModel } from '../../src/checkpoint/hugging-face/import-model.ts';
import { restoreCheckpoint } from '../../src/checkpoint/restore.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import { newRecipe, type RecipeWanted } from '../../src/commands/recipe-new.ts';
import { fullVocabulary, type ModelConfig } from '../../src/model/sizes.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { tasks } from '../../src/recipe/tasks.ts';
import { StateFiles } from '../../src/train/state-files.ts';
import { tinyTensors, writeFolder } from '../checkpoint/hugging-face/tiny-folder.ts';
import { realTrainer } from './real-trainer.ts';

const real = realTrainer();

const modelOf = (width: number): ModelConfig => ({
  vision: { width, depth: 1, mlp: 8, heads: 2, patch: 4, resolution: 16 },
  text: { width, depth: 1, mlp: 8, heads: 2, length: 6, vocabulary: fullVocabulary },
});
const imported = new Map<string, CheckpointRef>();

beforeAll(async () => {
  const { store, on } = real();
  for (const [run, width] of [
    ['base', 4],
    ['large', 6],
  ] as const) {
    const model = modelOf(width);
    await writeFolder(join(on.folder, run), tinyTensors(model), { model });
    const at = { scratch: on.folder, codeVersion: '0', attempt: run };
    imported.set(run, await importModel(store, join(on.folder, run), run, at));
  }
});

const deps = () => real().on.deps(real().store, { trainer: real().trainer });

/** What `recipe new` writes for a task, in f32: what is faster is measured elsewhere. */
async function planned(task: string, change: Partial<RecipeWanted> = {}): Promise<PhasePlan> {
  const { store, on } = real();
  const asked = { task, from: 'base', data: 'data/emoji/train', device: null, open: () => store, ...change };
  const { recipe } = await newRecipe(asked);
  return planPhase(deps(), { run: task, recipe: { ...recipe, precision: 'f32' } }, on.attempt());
}

const train = (plan: PhasePlan, toStep: number) =>
  trainShard(deps(), { plan, revision: 0, parent: imported.get('base')!, from: null, toStep }, real().on.attempt());

async function floatsOf(ref: CheckpointRef, name: string): Promise<Float32Array> {
  const { store, on } = real();
  const folder = join(on.folder, `read-${ref.run}-${ref.step}`);
  await restoreCheckpoint(store, ref, folder);
  const files = await StateFiles.open(folder);
  const floats = await files.model.readFloats(name);
  await files.close();
  return floats;
}

const configOf = async ({ prefix }: CheckpointRef) =>
  JSON.parse((await real().store.get(`${prefix}config.json`)).toString());

const settingsOf = async ({ settings }: PhasePlan) =>
  JSON.parse((await real().store.get(settings.key)).toString()) as PhaseSettings;

/** Weights moved, and by no more than Adam's steps of that rate, without any decay, can move them. */
async function expectMoved(end: CheckpointRef, rate: number): Promise<void> {
  for (const name of ['text_model.head.weight', 'vision_model.head.layernorm.weight', 'logit_bias']) {
    const [before, after] = [await floatsOf(imported.get('base')!, name), await floatsOf(end, name)];
    const most = Math.max(...after.map((value, i) => Math.abs(value - before[i]!)));
    expect(most, name).toBeGreaterThan(0);
    // A step is one rate at most, and rounding of values up to 2 is 2^-23.
    expect(most, name).toBeLessThan(end.step * (rate + 2 ** -22));
  }
}

describe('the phase that recipe new writes for an imported model', () => {
  it('of naflex trains it as a NaFlex model, in lengths that are shares of its own', async () => {
    const plan = await planned('naflex');
    const { checkpoint, metrics } = await train(plan, 6);
    expect(metrics.loss).toBeGreaterThan(0);
    expect(await configOf(checkpoint)).toMatchObject({ model_type: 'siglip2', vision_config: { num_patches: 16 } });
    const { batches } = await settingsOf(plan);
    expect(batches.naflex).toEqual({ lengths: [8, 16, 36, 49, 64], halveFrom: 1024, patch: 4 });
    await expectMoved(checkpoint, tasks.naflex.learningRate);
  });

  it('of resolution trains it with more patches, whose positions lie between those that it had', async () => {
    const { checkpoint } = await train(await planned('resolution'), 4);
    expect(await configOf(checkpoint)).toMatchObject({ vision_config: { image_size: 24, patch_size: 4 } });
    const name = 'vision_model.embeddings.position_embedding.weight';
    const [before, after] = [await floatsOf(imported.get('base')!, name), await floatsOf(checkpoint, name)];
    expect([before.length, after.length]).toEqual([16 * 4, 36 * 4]);
    // The corner has none beside it to lie between.
    for (let i = 0; i < 4; i++) expect(after[i]).toBeCloseTo(before[i]!, 4);
    await expectMoved(checkpoint, tasks.resolution.learningRate);
  });

  it('of distill trains it on half of each super-batch, chosen by what a larger model made of all examples', async () => {
    const { store, on } = real();
    const plan = await planned('distill', { teacher: 'large' });
    const { teacher, model, languages, dtype, shards } = plan.curation!;
    expect(teacher).toMatchObject({ checkpoint: { run: 'large', sha256: imported.get('large')!.sha256 } });
    const of = { plan, teacher: { checkpoint: imported.get('large')!, model }, languages, dtype };
    for (let shard = 0; shard < shards; shard++) await scoreShard(deps(), { ...of, shard }, on.attempt());
    const sealed = await sealScores(deps(), { plan, teacher: imported.get('large')! }, on.attempt());
    expect(await settingsOf(sealed)).toMatchObject({
      batches: { batch: 8, candidates: 16 },
      curation: { chunks: 8, teacher: { sha256: imported.get('large')!.sha256, model: { vision: { width: 6 } } } },
    });
    const { checkpoint } = await train(sealed, 4);
    expect(checkpoint.examples).toBe(4 * 8);
    const { objectives } = (await readCommit(store, checkpoint)).metrics;
    // Of noise one example is as good as another, but scored they are.
    expect(objectives!['curation/chosen']).not.toBe(objectives!['curation/rejected']);
    await expectMoved(checkpoint, tasks.distill.learningRate);
  });
});
