import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor } from '@tensorflow/tfjs';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { modelConfigFile } from '../../src/checkpoint/hugging-face/config.ts';
import type { Values } from '../../src/compile/definition.ts';
import type { Batch } from '../../src/data/batches/types.ts';
import { resampleParameters } from '../../src/model/resample.ts';
import type { ActiveObjective } from '../../src/objectives/registry.ts';
import { sigmoid } from '../../src/objectives/sigmoid.ts';
import { stepScalars } from '../../src/optimiser/optimiser.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { stepSignature } from '../../src/train/signatures.ts';
import { freshState, readState, writeState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { bytesTensor } from './bytes-tensor.ts';
import { madeUp } from './made-up-objective.ts';
import { tinySettings } from './settings.ts';

vi.mock('../../src/objectives/registry.ts', () => ({
  activeObjectives: (settings: Record<string, { weight: number }>) =>
    Object.entries({ sigmoid, madeUp }).flatMap(([name, objective]) =>
      settings[name] ? [{ name, objective, settings: settings[name] } as unknown as ActiveObjective] : [],
    ),
}));

const withObjectives = (objectives: object): PhaseSettings => ({
  ...tinySettings,
  objectives: objectives as PhaseSettings['objectives'],
});
const both = withObjectives({ sigmoid: { weight: 1 }, madeUp: { weight: 0.5 } });
const alone = withObjectives({ madeUp: { weight: 0.5 } });

const batchAt = (index: number): Batch => {
  const random = randomStream(3, 'batch', index);
  const image = () => Uint8Array.from({ length: 6 * 8 * 8 * 3 }, () => random.below(256));
  const tokens = Int32Array.from({ length: 6 * 5 }, () => random.below(9));
  return { index, images: image(), tokens, parts: { globalView: image() }, skipped: [] };
};

/** Steps from a fresh state; what they report, and the state that they end in. */
function train(settings: PhaseSettings, steps: number, start: Values = freshState(settings)) {
  const trainer = createTrainer(settings);
  trainer.program.write(start);
  const metrics = Array.from({ length: steps }, (_, i) => trainer.step(i + 1, batchAt(i + 1)));
  const values = trainer.program.read(trainer.stateNames);
  trainer.program.dispose();
  return { metrics, values };
}

/** Softmax does not see a shift of all keys: the gradient of their bias is rounding, which Adam scales up. */
const noise = /k_proj.bias|in_proj_bias/;

function expectNear(actual: Values, expected: Values, tolerance: number) {
  expect(Object.keys(actual)).toEqual(Object.keys(expected));
  for (const [name, values] of Object.entries(actual)) {
    if (noise.test(name)) continue;
    const scale = Math.max(1e-3, ...expected[name]!.map(Math.abs));
    const apart = Math.max(...values.map((x, i) => Math.abs(x - expected[name]![i]!)));
    expect(apart / scale, name).toBeLessThan(tolerance);
  }
}

const temporary: string[] = [];
const folder = () => temporary[temporary.push(mkdtempSync(join(tmpdir(), 'siglip2-state-'))) - 1]!;
afterAll(() => {
  for (const path of temporary) rmSync(path, { recursive: true });
});

describe('a step with several objectives', () => {
  it('reports each loss, unweighted, and their weighted sum', () => {
    const { loss, objectives } = train(both, 1).metrics[0]!;
    expect(Object.keys(objectives).sort()).toEqual(['loss/madeUp', 'loss/sigmoid', 'madeUp/spread']);
    expect(loss).toBeCloseTo(objectives['loss/sigmoid']! + 0.5 * objectives['loss/madeUp']!, 5);
    expect(train(tinySettings, 1).metrics[0]!.loss).toBeCloseTo(objectives['loss/sigmoid']!, 6);
  });

  it('gives the state of the same step run eagerly', () => {
    const start = freshState(both);
    const { pieces } = phaseState(both);
    const tensors = Object.entries(start).map(([key, values]) => [
      key,
      tf.tensor(values, pieces[key]!.shape as number[]),
    ]);
    const batch = batchAt(1);
    const { schedule, correction1, correction2 } = stepScalars(both.optimizer, 1, 1);
    const { state } = stepSignature(both, phaseState(both)).run(Object.fromEntries(tensors), {
      images: bytesTensor(batch.images, [6, 8, 8, 3]),
      globalView: bytesTensor(batch.parts.globalView as Uint8Array, [6, 8, 8, 3]),
      tokens: tf.tensor2d(batch.tokens, [6, 5], 'int32'),
      schedule: tf.scalar(schedule),
      correction1: tf.scalar(correction1),
      correction2: tf.scalar(correction2),
    });
    const eager = Object.keys(start).map((key) => [key, (state![key] as Tensor).dataSync()]);
    const warm = { ...both, schedule: { total: 1e9, warmup: 0 } };
    expectNear(train(warm, 1).values, Object.fromEntries(eager), 1e-4);
  });

  it.each([
    ['with a whole-batch objective', both],
    ['without one', alone],
  ])(
    'in three micro-batches, activations computed again, is the plain step, %s: gradients, centre and teacher',
    (_, settings) => {
      // Plain descent shows the gradient: Adam would hide its size.
      const optimizer = { ...settings.optimizer, clipNorm: 1e9, beta1: 0, beta2: 0, epsilon: 1e6, learningRate: 1e5 };
      const plain = { ...settings, optimizer: { ...optimizer, weightDecay: 0, multipliers: {} } };
      const [whole, parts] = [{}, { accumulate: 3, remat: 'blocks' as const }].map((how) =>
        train({ ...plain, ...how, schedule: { total: 600, warmup: 0 } }, 3),
      );
      for (const [i, { loss, gradientNorm, objectives }] of parts!.metrics.entries()) {
        expect(loss / whole!.metrics[i]!.loss).toBeCloseTo(1, 4);
        expect(gradientNorm / whole!.metrics[i]!.gradientNorm).toBeCloseTo(1, 4);
        for (const [key, value] of Object.entries(objectives)) {
          expect(value / whole!.metrics[i]!.objectives[key]!, key).toBeCloseTo(1, 4);
        }
      }
      const moving = (values: Values) =>
        Object.fromEntries(Object.entries(values).filter(([key]) => !/^[mv]\//.test(key)));
      expectNear(moving(parts!.values), moving(whole!.values), 1e-4);
    },
  );

  it('moves the teacher by its momentum towards the student as it is after the step', () => {
    const start = freshState(both);
    const { values } = train(both, 1, start);
    const taught = phaseState(both).taught.map(({ name }) => name);
    expect(taught).toContain('made_up.weight');
    expect(taught).toContain('vision_model.head.probe');
    expect(taught.filter((name) => /^(text_model|logit)|untaught/.test(name))).toEqual([]);
    for (const name of taught) {
      const expected = start[`teacher/${name}`]!.map((t, i) => 0.9 * t + 0.1 * values[name]![i]!);
      expect([...values[`teacher/${name}`]!], name).toEqual([...expected].map((x) => expect.closeTo(x, 6)));
    }
  });

  it('leaves the towers that no objective reads where they were', () => {
    const start = freshState(alone);
    const { values } = train(alone, 2, start);
    expect(values['text_model.head.weight']).toEqual(start['text_model.head.weight']);
    expect(values['vision_model.head.mlp.fc1.weight']).not.toEqual(start['vision_model.head.mlp.fc1.weight']);
  });

  it('ends in the same bytes in every run', () => {
    const [a, b] = [train(both, 4), train(both, 4)];
    for (const [key, values] of Object.entries(a.values)) expect(values, key).toEqual(b.values[key]);
  });
});

describe('a state on disk', () => {
  it('is read as it was written, and model.safetensors holds the towers alone', async () => {
    const { values } = train(both, 2);
    const [whole, towers] = [folder(), folder()];
    const written = await writeState(whole, both, values);
    expect(await readState(whole, both)).toEqual(values);
    const plain = await writeState(towers, tinySettings, values);
    const model = ({ state }: typeof plain) => state.find(({ path }) => path === 'model.safetensors')!.sha256;
    expect(model(written)).toBe(model(plain));
  });

  it('of a parent with fewer objectives is completed by name, the same in every run: the teacher copies the student', async () => {
    const parent = train(tinySettings, 3).values;
    const path = folder();
    await writeState(path, tinySettings, parent);
    const [values, again] = [await readState(path, both), await readState(path, both)];
    expect(values).toEqual(again);
    for (const [key, held] of Object.entries(parent)) expect(values[key], key).toEqual(held);
    const fresh = freshState(both);
    expect(values['made_up.weight']).toEqual(fresh['made_up.weight']);
    expect(values['m/made_up.weight']).toEqual(new Float32Array(3 * 16));
    expect([...values['state/made_up.center']!]).toEqual([0.25, 0.25, 0.25]);
    expect(values['teacher/vision_model.head.probe']).toEqual(parent['vision_model.head.probe']);
    expect(values['teacher/made_up.weight']).toEqual(fresh['made_up.weight']);
    expect(Object.keys(values).sort()).toEqual(Object.keys(phaseState(both).pieces).sort());
  });

  it('of a parent with more objectives loses what is no longer needed', async () => {
    const parent = train(both, 2).values;
    const path = folder();
    await writeState(path, both, parent);
    const values = await readState(path, tinySettings);
    expect(Object.keys(values).sort()).toEqual(Object.keys(phaseState(tinySettings).pieces).sort());
    for (const [key, held] of Object.entries(values)) expect(held, key).toEqual(parent[key]);
  });

  it('of a parent at another resolution and patch size is resampled, of the teacher too, and the moments of it are zero', async () => {
    const parent = train(both, 2).values;
    const path = folder();
    await writeState(path, both, parent);
    const vision = { ...both.model.vision, resolution: 18, patch: 6 };
    const finer = { ...both, model: { ...both.model, vision }, batches: { ...both.batches, resolution: 18 } };
    const values = await readState(path, finer);
    const [positions, patches] = ['position_embedding', 'patch_embedding'].map(
      (name) => `vision_model.embeddings.${name}.weight`,
    );
    const held = (prefix: string) => (name: string) => parent[prefix + name] as Float32Array;
    for (const prefix of ['', 'teacher/']) {
      const expected = resampleParameters(held(prefix), both.model, finer.model);
      expect(Object.keys(expected).sort()).toEqual([patches, positions]);
      for (const [name, numbers] of Object.entries(expected)) expect(values[prefix + name]).toEqual(numbers);
    }
    for (const name of [positions!, patches!]) {
      for (const moment of ['m/', 'v/']) expect(values[moment + name]!.every((x) => x === 0)).toBe(true);
    }
    expect(values['m/vision_model.head.probe']).toEqual(parent['m/vision_model.head.probe']);
    expect(Object.keys(values).sort()).toEqual(Object.keys(phaseState(finer).pieces).sort());
  });

  it('that holds the towers alone, as an imported model, starts with fresh moments', async () => {
    const parent = train(tinySettings, 2).values;
    const path = folder();
    await writeState(path, tinySettings, parent);
    rmSync(join(path, 'training-00001.safetensors'));
    const values = await readState(path, tinySettings);
    for (const [key, held] of Object.entries(values)) {
      if (/^[mv]\//.test(key)) expect(held.every((x) => x === 0)).toBe(true);
      else expect(held).toEqual(parent[key]);
    }
  });

  it('of another model than the recipe says is refused, naming what would be lost, made up or turned', async () => {
    const path = folder();
    await writeState(path, tinySettings, train(tinySettings, 1).values);
    const of = (vision: object, text: object = {}): PhaseSettings => {
      const { model } = tinySettings;
      return { ...tinySettings, model: { vision: { ...model.vision, ...vision }, text: { ...model.text, ...text } } };
    };
    const refusal = async (settings: PhaseSettings) => {
      const error = await readState(path, settings).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'RecipeInvalid', retryable: false });
      return (error as Error).message;
    };
    expect(await refusal(of({ depth: 1 }))).toMatch(
      /model.vision.depth is 1, and the checkpoint has 2; it holds vision_model.encoder.layers.1.layer_norm1.bias and 15 more tensors, which the recipe's model lacks/,
    );
    expect(await refusal(of({ depth: 3 }))).toMatch(
      /model.vision.depth is 3, and the checkpoint has 2; it lacks vision_model.encoder.layers.2.layer_norm1.weight and 15 more/,
    );
    expect(await refusal(of({}, { depth: 2 }))).toMatch(/model.text.depth is 2, and the checkpoint has 1/);
    expect(await refusal(of({}, { length: 7 }))).toMatch(/model.text.length is 7, and the checkpoint has 5/);
    expect(await refusal(of({ width: 32 }))).toMatch(/model.vision.width is 32, and the checkpoint has 16/);
    expect(await refusal(of({}, { mlp: 24 }))).toMatch(/model.text.mlp is 24, and the checkpoint has 20/);
    // No tensor tells of heads: the config.json of the checkpoint does.
    await writeFile(join(path, 'config.json'), modelConfigFile(tinySettings.model).content);
    expect(await refusal(of({ heads: 4 }))).toMatch(/model.vision.heads is 4, and the checkpoint has 2/);
    expect(Object.keys(await readState(path, of({ resolution: 12 })))).toContain('logit_scale');
  });
});
