import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { composeModel, modelFile } from '../../src/checkpoint/compose-model.ts';
import { trainedCopy } from '../../src/checkpoint/training-tensors.ts';
import type { Values } from '../../src/compile/definition.ts';
import { tokenTable } from '../../src/model/parameters.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { SafetensorsFile } from '../../src/safetensors/safetensors.ts';
import { checkpointBytes } from '../../src/train/checkpoint-bytes.ts';
import { memoryPlan } from '../../src/train/memory-plan.ts';
import { emaCopy, emaSteps, phaseState } from '../../src/train/phase-state.ts';
import { freshState, readState, writeState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { readUpdates, updateTensors } from '../../src/train/stored-updates.ts';
import { tinySettings } from './settings.ts';
import { noiseBatch } from './tiny-objectives.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-ema-'));
});
afterAll(() => rm(folder, { recursive: true }));

const averaged: PhaseSettings = { ...tinySettings, ema: { decay: 0.8, warmup: true } };
const inImages = 'vision_model.head.probe';
const inTexts = 'text_model.head.weight';

const lora: PhaseSettings['lora'] & {} = { rank: 2, alpha: 4, targets: ['q_proj', 'fc1'], in: ['vision', 'text'] };
const kinds: Readonly<Record<string, Partial<PhaseSettings>>> = {
  'of all': {},
  'without a warm-up': { ema: { decay: 0.8, warmup: false } },
  'in micro-batches': { accumulate: 3 },
  'in bf16': { precision: 'bf16' },
  'of texts alone': { train: ['text', 'scaleAndBias'] },
  'of adapters': { lora },
};

/** Steps from the fresh state; what is there after each. */
function trained(settings: PhaseSettings, steps: number) {
  const trainer = createTrainer(settings);
  trainer.program.write(freshState(settings));
  const states = Array.from({ length: steps }, (_, i) => {
    trainer.step(i + 1, noiseBatch(settings, i + 1));
    return trainer.program.read(trainer.stateNames);
  });
  return { trainer, states };
}

it.each(Object.entries(kinds))('twenty steps of an average %s are those of doubles over the parameters', (_, kind) => {
  const settings = { ...averaged, ...kind };
  const { decay, warmup } = settings.ema!;
  const { trainer, states } = trained(settings, 20);
  trainer.program.dispose();
  const first = freshState(settings);
  const { parameters, frozen } = phaseState(settings);
  let [moved, apart, wrong] = [0, 0, 0];
  for (const { name } of parameters.filter(({ name }) => !frozen.has(name))) {
    const average = Float64Array.from(first[name]!);
    for (const [i, state] of states.entries()) {
      const share = 1 - (warmup ? Math.min(decay, (2 + i) / (11 + i)) : decay);
      for (const [j, value] of state[name]!.entries()) average[j]! += share * (value - average[j]!);
      for (const [j, value] of state[emaCopy(name)]!.entries()) {
        wrong = Math.max(wrong, Math.abs(value - average[j]!) / Math.max(1, Math.abs(value)));
        moved = Math.max(moved, Math.abs(value - first[name]![j]!));
        apart = Math.max(apart, Math.abs(value - state[name]![j]!));
      }
    }
  }
  expect(wrong).toBeLessThan(1e-6);
  expect(moved).toBeGreaterThan(1e-2);
  expect(apart).toBeGreaterThan(1e-3);
  for (const name of frozen) expect(states[0]![emaCopy(name)]).toBeUndefined();
});

it('nothing else of a step is other than without an average, to the bit', () => {
  const [plain, other] = [tinySettings, averaged].map((settings) => {
    const { trainer, states } = trained(settings, 3);
    trainer.program.dispose();
    return states[2]!;
  });
  for (const [name, values] of Object.entries(plain!)) expect(other![name], name).toEqual(values);
});

it.each(Object.entries(kinds))(
  'a resume over a checkpoint of an average %s is the same to the bit',
  async (kind, of) => {
    const settings = { ...averaged, ...of };
    const { trainer, states } = trained(settings, 2);
    const at = join(folder, kind);
    await mkdir(at);
    await writeState(at, settings, states[1]!, { tensors: updateTensors(trainer.updatesAfter(2)) });
    const read = await readState(at, settings);
    expect(read).toEqual(states[1]);
    const third = trainer.step(3, noiseBatch(settings, 3));
    const again = createTrainer(settings, { updates: await readUpdates(at, settings, { step: 2, within: true }) });
    again.program.write(read);
    expect(again.step(3, noiseBatch(settings, 3))).toEqual(third);
    expect(again.program.read(again.stateNames)).toEqual(trainer.program.read(trainer.stateNames));
    for (const one of [trainer, again]) one.program.dispose();
  },
);

/** A state of which every value is known. */
async function written(name: string, settings: PhaseSettings): Promise<{ at: string; state: Values }> {
  const { trainer, states } = trained(settings, 3);
  trainer.program.dispose();
  const at = join(folder, name);
  await mkdir(at);
  await writeState(at, settings, states[2]!, { tensors: updateTensors(trainer.updatesAfter(3)) });
  return { at, state: states[2]! };
}

it('model.safetensors, which is evaluated and exported, holds the average, and what is trained lies beside it', async () => {
  const { at, state } = await written('files', averaged);
  const model = await SafetensorsFile.open(join(at, modelFile));
  for (const { name } of phaseState(averaged).towers) {
    expect(await model.readFloats(name), name).toEqual(state[emaCopy(name)]);
    expect(state[name], name).not.toEqual(state[emaCopy(name)]);
  }
  await model.close();
  const training = await SafetensorsFile.open(join(at, 'training-00001.safetensors'));
  expect(await training.readFloats(trainedCopy(inTexts))).toEqual(state[inTexts]);
  expect([...training.tensors.keys()].filter((name) => name.startsWith('ema/'))).toEqual([emaSteps]);
  await training.close();
});

it('adapters that are exported, and the model made of them, are the average', async () => {
  const settings = { ...averaged, lora };
  const { at, state } = await written('adapted', settings);
  await composeModel(at, [{ path: 'base.safetensors' }, { path: 'training-00001.safetensors' }]);
  const layer = 'vision_model.encoder.layers.0.self_attn.q_proj';
  const a = state[emaCopy(`${layer}.lora_A.weight`)]!;
  const b = state[emaCopy(`${layer}.lora_B.weight`)]!;
  expect(b).not.toEqual(state[`${layer}.lora_B.weight`]);
  const model = await SafetensorsFile.open(join(at, modelFile));
  const weight = await model.readFloats(`${layer}.weight`);
  await model.close();
  for (const [i, value] of weight.entries()) {
    const [row, column] = [Math.floor(i / 16), i % 16];
    const added = 2 * (b[2 * row]! * a[column]! + b[2 * row + 1]! * a[16 + column]!);
    expect(value).toBeCloseTo(state[`${layer}.weight`]![i]! + added, 6);
  }
});

it('a phase goes on with the average of the one before, begins one at the weights, or drops it and goes on from the weights', async () => {
  const { at, state } = await written('rows', { ...averaged, train: ['text'] });
  const next = await readState(at, averaged);
  expect(next[emaCopy(inTexts)]).toEqual(state[emaCopy(inTexts)]);
  expect(next[inTexts]).toEqual(state[inTexts]);
  expect(next[emaSteps]).toEqual(Float32Array.of(3));
  // What is trained for the first time now has an average that begins there.
  expect(next[emaCopy(inImages)]).toEqual(state[inImages]);
  // Of what has no average yet all begin, and so does their warm-up.
  const other = await readState(at, { ...averaged, train: ['vision'] });
  expect(other[emaSteps]).toEqual(Float32Array.of(0));
  expect(other[emaCopy(inImages)]).toEqual(state[inImages]);
  const without = await readState(at, tinySettings);
  expect(Object.keys(without).sort()).toEqual(Object.keys(freshState(tinySettings)).sort());
  expect(without[inTexts]).toEqual(state[inTexts]);
});

it('of a compacted table the rows that another phase trains go on, of the average and of the weights', async () => {
  const vocabulary = [1, 5, 7, 8, 11, 100, 2000, 3000, 4000];
  const compact = { ...averaged, batches: { ...averaged.batches, vocabulary } };
  const { at, state } = await written('compact', compact);
  expect(await readState(at, compact)).toEqual(state);
  const others = [5, 6, 7, 8, 11, 100, 2000, 3000, 4000];
  const next = await readState(at, { ...compact, batches: { ...compact.batches, vocabulary: others } });
  const row = (values: Values, name: string, i: number) => values[name]!.slice(12 * i, 12 * (i + 1));
  for (const name of [tokenTable, emaCopy(tokenTable)]) {
    expect(row(next, name, 0)).toEqual(row(state, name, 1));
    expect(row(next, name, 2)).toEqual(row(state, name, 2));
  }
  expect(row(next, emaCopy(tokenTable), 1)).toEqual(row(next, tokenTable, 1));
  expect(row(state, tokenTable, 1)).not.toEqual(row(state, emaCopy(tokenTable), 1));
});

it('positions of another grid are resampled in the average too', async () => {
  const { at } = await written('grid', { ...averaged, train: ['imagePositions', 'text'] });
  const model = { ...averaged.model, vision: { ...averaged.model.vision, resolution: 12 } };
  const larger = { ...averaged, model, batches: { ...averaged.batches, resolution: 12 } };
  const next = await readState(at, larger);
  for (const [name, { shape }] of Object.entries(phaseState(larger).pieces))
    expect(next[name]!.length, name).toBe(shape.reduce((a, b) => a * b, 1));
});

it('the plan counts an average in f32 in memory and in checkpoints, of what is trained alone', () => {
  for (const kind of [{}, { train: ['text'] }, { lora }]) {
    const { ema: _, ...plain }: PhaseSettings = { ...averaged, ...kind };
    const settings = { ...plain, ema: averaged.ema! };
    const { parameters, frozen } = phaseState(settings);
    const bytes = parameters
      .filter(({ name }) => !frozen.has(name))
      .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 4), 0);
    const [before, plan] = [memoryPlan(plain), memoryPlan(settings)];
    expect(plan.device).toEqual({ ...before.device, average: bytes });
    expect(plan.gpuBytes - before.gpuBytes).toBe(bytes);
    expect(checkpointBytes(settings).each - checkpointBytes(plain).each).toBe(bytes + 4);
  }
});
