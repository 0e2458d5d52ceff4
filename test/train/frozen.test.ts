import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tokenTable } from '../../src/model/parameters.ts';
import { firstMoment, startCopy } from '../../src/optimiser/optimiser.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { compileProblem } from '../../src/train/compiles.ts';
import { memoryPlan } from '../../src/train/memory-plan.ts';
import { freshState, readState, writeState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { readUpdates, updateTensors } from '../../src/train/stored-updates.ts';
import { noUpdates } from '../../src/train/updates.ts';
import { workloadOf } from '../../src/train/workload.ts';
import { stepSettings } from '../bench/shapes.ts';
import { tinySettings } from './settings.ts';
import { noiseBatch } from './tiny-objectives.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-frozen-'));
});
afterAll(() => rm(folder, { recursive: true }));

const texts: PhaseSettings = { ...tinySettings, train: ['text', 'scaleAndBias'] };
const inImages = 'vision_model.head.probe';
const inTexts = 'text_model.head.weight';

it('a checkpoint holds no moments of what is frozen; a resume is the same, and a phase that trains all starts them anew', async () => {
  const trainer = createTrainer(texts);
  trainer.program.write(freshState(texts));
  for (let step = 1; step <= 2; step++) trainer.step(step, noiseBatch(texts, step));
  const state = trainer.program.read(trainer.stateNames);
  expect(state[firstMoment(inTexts)]).toBeDefined();
  expect(state[firstMoment(inImages)]).toBeUndefined();
  await writeState(folder, texts, state, { tensors: updateTensors(trainer.updatesAfter(2)) });

  const within = await readUpdates(folder, texts, { step: 2, within: true });
  expect(within).toEqual({ ...noUpdates, step: 2 });
  const read = await readState(folder, texts);
  expect(read).toEqual(state);
  const third = trainer.step(3, noiseBatch(texts, 3));
  const again = createTrainer(texts, { updates: within });
  again.program.write(read);
  expect(again.step(3, noiseBatch(texts, 3))).toEqual(third);
  expect(again.program.read(again.stateNames)).toEqual(trainer.program.read(trainer.stateNames));
  for (const one of [trainer, again]) one.program.dispose();

  const all = await readUpdates(folder, tinySettings, { step: 2, within: false });
  expect(all.own[inImages]).toEqual(Int32Array.of(0));
  expect(all.own[inTexts]).toBeUndefined();
  const whole = await readState(folder, tinySettings);
  expect(whole[firstMoment(inTexts)]).toEqual(state[firstMoment(inTexts)]);
  expect(whole[firstMoment(inImages)]!.every((value) => value === 0)).toBe(true);
});

it('what weights are pulled to is what they were at first, in a resume and in a phase that goes on from it, and no table of tokens', async () => {
  const held: PhaseSettings = { ...texts, optimizer: { ...texts.optimizer, startDecay: 0.01 } };
  const trainer = createTrainer(held);
  const first = freshState(held);
  trainer.program.write(first);
  for (let step = 1; step <= 2; step++) trainer.step(step, noiseBatch(held, step));
  const state = trainer.program.read(trainer.stateNames);
  trainer.program.dispose();
  const starts = Object.keys(state).filter((name) => name.startsWith('start/'));
  expect(starts).toContain(startCopy(inTexts));
  expect(starts).not.toContain(startCopy(inImages));
  expect(starts).not.toContain(startCopy(tokenTable));
  for (const name of starts) expect(state[name], name).toEqual(first[name.slice('start/'.length)]);
  expect(state[inTexts]).not.toEqual(first[inTexts]);
  const at = join(folder, 'held');
  await mkdir(at);
  await writeState(at, held, state, { tensors: updateTensors(trainer.updatesAfter(2)) });
  expect(await readState(at, held)).toEqual(state);
  const next = await readState(at, { ...held, train: ['vision', 'text'] });
  expect(next[startCopy(inTexts)]).toEqual(first[inTexts]);
  // What is trained for the first time now is held where it is.
  expect(next[startCopy(inImages)]).toEqual(state[inImages]);
});

it('scale and bias alone move the same in micro-batches, whose gradients are asked for once', () => {
  const moved = [1, 3].map((accumulate) => {
    const settings = { ...tinySettings, train: ['scaleAndBias'], accumulate };
    const trainer = createTrainer(settings);
    trainer.program.write(freshState(settings));
    for (let step = 1; step <= 2; step++) trainer.step(step, noiseBatch(settings, step));
    const { logit_scale, logit_bias } = trainer.program.read(['logit_scale', 'logit_bias']);
    trainer.program.dispose();
    return [logit_scale![0]!, logit_bias![0]!];
  });
  expect(moved[1]![0]).toBeCloseTo(moved[0]![0]!, 6);
  expect(moved[1]![1]).toBeCloseTo(moved[0]![1]!, 6);
  expect(Math.abs(moved[0]![1]! - tinySettings.init.logitBias)).toBeGreaterThan(1e-2);
});

it('moments that are lost are damage all the same', async () => {
  const state = freshState(tinySettings);
  const { [firstMoment(inImages)]: _, ...less } = state;
  await mkdir(join(folder, 'lost'));
  await expect(
    writeState(join(folder, 'lost'), { ...tinySettings, freeze: ['mapHead'] }, less).then(() =>
      readState(join(folder, 'lost'), tinySettings),
    ),
  ).rejects.toThrow('no training state for vision_model.head');
});

it('what is frozen costs neither moments nor gradients, nor activations or a backward pass below the lowest that is trained', () => {
  const all = stepSettings('step/s16', 'f32');
  const { depth } = all.model.vision;
  const lit = { ...all, train: ['text', 'scaleAndBias'] };
  const top = { ...all, freeze: ['patchEmbedding', 'imagePositions', `imageBlocks.0-${depth - 2}`, 'text'] };
  const plan = memoryPlan(lit).device;
  const before = memoryPlan(all).device;
  expect(plan.parameters).toBe(before.parameters);
  expect(plan.optimiser).toBe(2 * plan.gradients);
  expect(plan.gradients).toBeLessThan(before.gradients);
  expect(plan.activations).toBeLessThan(0.6 * before.activations);
  const flops = (settings: PhaseSettings) => workloadOf(settings).flopsPerExample;
  const image = flops({ ...all, train: ['vision'] });
  // A tower alone: forward of both, and backward of it. Cosines and the head of texts have little.
  expect((flops(lit) + image - flops(all)) / (flops(all) / 3)).toBeCloseTo(1, 1);
  expect(flops(top)).toBeLessThan(0.5 * flops(all));
  expect(flops(top)).toBeGreaterThan(flops(all) / 3);
});

it('a phase in which no objective reads what is trained is refused, by name', () => {
  const captions = {
    ...tinySettings,
    objectives: { captioning: { weight: 1, depth: 1, chunk: 4 } },
    train: ['textHead'],
  };
  expect(compileProblem(captions)).toBe(
    'phase pretrain trains nothing: captioning reads neither text_model.head.weight nor anything else that train and freeze leave',
  );
});
