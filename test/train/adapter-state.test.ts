import { link, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { composeModel } from '../../src/checkpoint/compose-model.ts';
import { adapterConfig, writeAdapterFolder } from '../../src/checkpoint/hugging-face/adapter-folder.ts';
import { scaleTensor, withoutAdapter } from '../../src/checkpoint/training-tensors.ts';
import type { StateFile } from '../../src/checkpoint/types.ts';
import { adaptedLayers, adapterA, adapterB, adapterMagnitude, adapterTargets } from '../../src/model/adapters.ts';
import { parameterSpecs, tokenTable } from '../../src/model/parameters.ts';
import { firstMoment } from '../../src/optimiser/optimiser.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { SafetensorsFile, writeSafetensors } from '../../src/safetensors/safetensors.ts';
import { freshState, readState, writeState } from '../../src/train/state.ts';
import { StateFiles } from '../../src/train/state-files.ts';
import { createTrainer } from '../../src/train/step.ts';
import { readUpdates, updateTensors } from '../../src/train/stored-updates.ts';
import { tuning } from '../parity/tuning.ts';
import { tinySettings } from './settings.ts';
import { noiseBatch } from './tiny-objectives.ts';

const lora = { rank: 2, alpha: 5, targets: adapterTargets, in: ['vision', 'textBlocks.0'] } as const;
const settings: PhaseSettings = { ...tinySettings, lora };
const layer = 'vision_model.encoder.layers.1.mlp.fc1';
const { width, mlp } = tinySettings.model.vision;

let folder: string;
let state: Awaited<ReturnType<typeof readState>>;
let files: StateFile[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-adapters-'));
  const trainer = createTrainer(settings);
  trainer.program.write(freshState(settings));
  for (let step = 1; step <= 3; step++) trainer.step(step, noiseBatch(settings, step));
  state = trainer.program.read(trainer.stateNames);
  const counts = updateTensors(trainer.updatesAfter(3));
  ({ state: files } = await writeState(folder, settings, state, { tensors: counts }));
  await composeModel(folder, files);
  trainer.program.dispose();
});
afterAll(() => rm(folder, { recursive: true }));

const weightIn = async (name: string, path = 'model.safetensors') => {
  const file = await SafetensorsFile.open(join(folder, path));
  const values = await file.readFloats(name);
  await file.close();
  return values;
};

it('a state with adapters has the weights as they were, byte for byte, and the model is made of both', async () => {
  expect(files.map(({ path }) => path)).toEqual(['base.safetensors', 'training-00001.safetensors']);
  const start = freshState(settings);
  for (const { name } of parameterSpecs(settings.model)) expect(state[name], name).toEqual(start[name]);
  const weight = `${layer}.weight`;
  const merged = await weightIn(weight);
  const [a, b] = [state[adapterA(layer)]!, state[adapterB(layer)]!];
  let moved = 0;
  for (let i = 0; i < mlp; i++)
    for (let j = 0; j < width; j++) {
      let sum = 0;
      for (let k = 0; k < lora.rank; k++) sum += b[i * lora.rank + k]! * a[k * width + j]!;
      const expected = start[weight]![i * width + j]! + (lora.alpha / lora.rank) * sum;
      expect(merged[i * width + j]).toBeCloseTo(expected, 6);
      moved = Math.max(moved, Math.abs(expected - start[weight]![i * width + j]!));
    }
  expect(moved).toBeGreaterThan(1e-3);
  expect(await weightIn(weight, 'base.safetensors')).toEqual(start[weight]);
  for (const name of [tokenTable, 'vision_model.head.attention.out_proj.weight', `${layer}.bias`])
    expect(await weightIn(name), name).toEqual(start[name]);
  const all = await StateFiles.open(folder);
  await all.close();
  expect(all.training.has(firstMoment(weight))).toBe(false);
});

it('a resume has the very same state, and goes on with the counts of its moments', async () => {
  expect(await readState(folder, settings)).toEqual(state);
  const updates = await readUpdates(folder, settings, { step: 3, within: true });
  expect(updates).toEqual({ step: 3, own: {} });
});

it('the phase itself goes on without the model, and any other says that it is missing', async () => {
  const own = join(folder, 'fetched-in-part');
  await mkdir(own);
  for (const { path } of files) await link(join(folder, path), join(own, path));
  expect(await readState(own, settings)).toEqual(state);
  await expect(readState(own, tinySettings)).rejects.toMatchObject({
    code: 'CheckpointDamaged',
    message: expect.stringContaining('has no model.safetensors'),
  });
});

it('a later snapshot of a phase links what it has in common with one before, and is the same', async () => {
  const again = join(folder, 'again');
  await mkdir(again);
  const base = { file: files[0]!, path: join(folder, 'base.safetensors') };
  const { state: linked } = await writeState(again, settings, state, { base });
  await mkdir(join(again, 'whole'));
  expect(linked).toEqual((await writeState(join(again, 'whole'), settings, state)).state);
  expect((await stat(join(again, 'base.safetensors'))).ino).toBe((await stat(base.path)).ino);
});

it('a state of release 0.2.0, which has the weights without adapters beside the model, is read as it was', async () => {
  const old = join(folder, 'old');
  await mkdir(old);
  await link(join(folder, 'model.safetensors'), join(old, 'model.safetensors'));
  const [base, training] = await Promise.all(files.map(({ path }) => SafetensorsFile.open(join(folder, path))));
  const copied = (file: SafetensorsFile, name: string, as = name) => ({
    ...{ name: as, dtype: file.info(name).dtype, shape: file.info(name).shape },
    data: () => file.chunks(name, 2 ** 20),
  });
  await writeSafetensors(join(old, 'training-00001.safetensors'), [
    ...[...training!.tensors.keys()].map((name) => copied(training!, name)),
    ...adaptedLayers(settings.model, lora).map(({ layer }) =>
      copied(base!, `${layer}.weight`, withoutAdapter(`${layer}.weight`)),
    ),
  ]);
  for (const file of [base!, training!]) await file.close();
  expect(await readState(old, settings)).toEqual(state);
});

it.each([
  ['another scale', { ...lora, alpha: 2 }],
  ['another rank', { ...lora, rank: 3 }],
  ['other layers', { ...lora, in: ['vision'] }],
  ['rows of a length of their own', { ...lora, useDora: true }],
  ['no adapters', null],
] as const)('a phase of %s goes on from the model with them added', async (_, other) => {
  const next: PhaseSettings = other ? { ...tinySettings, lora: other } : tinySettings;
  const read = await readState(folder, next);
  expect(read[`${layer}.weight`]).toEqual(await weightIn(`${layer}.weight`));
  const { own } = await readUpdates(folder, next, { step: 3, within: false });
  if (other) {
    expect(read[adapterB(layer)]!.every((value) => value === 0)).toBe(true);
    expect(own[adapterB(layer)]).toEqual(Int32Array.of(0));
  } else {
    expect(read[adapterB(layer)]).toBeUndefined();
    expect(own[`${layer}.weight`]).toEqual(Int32Array.of(0));
  }
  expect(read[scaleTensor]).toBeUndefined();
});

it('DoRA begins with the lengths of the rows, and is a model whose rows have those that were trained', async () => {
  const settings: PhaseSettings = { ...tinySettings, lora: { ...lora, useDora: true } };
  const start = freshState(settings);
  const weight = `${layer}.weight`;
  const lengths = (values: Float32Array) =>
    Array.from({ length: mlp }, (_, i) => Math.hypot(...values.subarray(i * width, (i + 1) * width)));
  const magnitude = adapterMagnitude(layer);
  for (const [i, length] of lengths(start[weight] as Float32Array).entries())
    expect(start[magnitude]![i]).toBeCloseTo(length, 6);
  // As any other it goes on from a model whose adapters have become part of it.
  const next = await readState(folder, settings);
  for (const [i, length] of lengths(await weightIn(weight)).entries())
    expect(next[magnitude]![i]).toBeCloseTo(length, 6);

  const own = join(folder, 'dora');
  await mkdir(own);
  const trainer = createTrainer(settings);
  trainer.program.write(start);
  for (let step = 1; step <= 3; step++) trainer.step(step, noiseBatch(settings, step));
  const state = trainer.program.read(trainer.stateNames);
  const { state: files } = await writeState(own, settings, state, {
    tensors: updateTensors(trainer.updatesAfter(3)),
  });
  trainer.program.dispose();
  await composeModel(own, files);
  expect(await readState(own, settings)).toEqual(state);
  const merged = await weightIn(weight, 'dora/model.safetensors');
  for (const [i, length] of lengths(merged).entries()) expect(length).toBeCloseTo(state[magnitude]![i]!, 5);
  const moved = state[magnitude]!.map((length, i) => Math.abs(length - start[magnitude]![i]!));
  expect(Math.max(...moved)).toBeGreaterThan(1e-3);
});

it.each(['lora', 'dora'] as const)(
  'an export has the layers, names, shapes and settings of what peft wrote itself: %s',
  async (kind) => {
    const { rank, alpha, adapterConfig: theirs, adapterShapes } = tuning[kind];
    const useDora = kind === 'dora';
    const model = {
      vision: { width: 24, depth: 2, mlp: 40, heads: 3, patch: 4, resolution: 18 },
      text: { width: 16, depth: 2, mlp: 28, heads: 2, length: 7, vocabulary: 40 },
    };
    const size = { rank, alpha, targets: adapterTargets, in: ['vision', 'text'], useDora };
    const { target_modules: modules, ...config } = adapterConfig(model, size);
    expect(theirs).toMatchObject(config);
    const meant = new RegExp(`^(?:${theirs.target_modules})$`);
    expect(modules.every((module) => meant.test(module))).toBe(true);
    const shapeOf = new Map(
      adaptedLayers(model, size).flatMap(({ layer, shape: [output, input] }) => [
        [adapterA(layer), rank * input],
        [adapterB(layer), output * rank],
        [adapterMagnitude(layer), output],
      ]),
    );
    const own = join(folder, `adapter-${kind}`);
    await writeAdapterFolder(own, model, size, async (name) => new Uint8Array(4 * shapeOf.get(name)!), 'base');
    const file = await SafetensorsFile.open(join(own, 'adapter_model.safetensors'));
    await file.close();
    const shapes = Object.fromEntries([...file.tensors].map(([name, { shape }]) => [name, shape]));
    expect(shapes).toEqual(adapterShapes);
  },
);
