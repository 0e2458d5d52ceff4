import type { Tensor } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { Batch } from '../../src/data/batches/types.ts';
import { initialise } from '../../src/model/initialise.ts';
import { parameterSpecs } from '../../src/model/parameters.ts';
import { firstMoment, secondMoment, stepScalars } from '../../src/optimiser/optimiser.ts';
import { cosineFactor } from '../../src/recipe/schedule.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { stepSignature } from '../../src/train/signatures.ts';
import { createTrainer } from '../../src/train/step.ts';
import { bytesTensor } from './bytes-tensor.ts';
import { tinySettings } from './settings.ts';

const specs = parameterSpecs(tinySettings.model, tinySettings.init);

const freshState = () => {
  const state: Record<string, Float32Array> = {};
  for (const spec of specs) {
    state[spec.name] = initialise(tinySettings.seed, spec);
    state[firstMoment(spec.name)] = new Float32Array(state[spec.name]!.length);
    state[secondMoment(spec.name)] = new Float32Array(state[spec.name]!.length);
  }
  return state;
};

const batchAt = (index: number): Batch => {
  const random = randomStream(3, 'batch', index);
  return {
    index,
    images: Uint8Array.from({ length: 6 * 8 * 8 * 3 }, () => random.below(256)),
    tokens: Int32Array.from({ length: 6 * 5 }, () => random.below(9)),
    parts: {},
    skipped: [],
  };
};

describe('a compiled training step', () => {
  it('gives the losses and the state of the same step run eagerly, over 20 steps', () => {
    const trainer = createTrainer(tinySettings, { fuseFrom: 0 });
    const start = freshState();
    trainer.program.write(start);
    const signature = stepSignature(tinySettings, phaseState(tinySettings));
    const shapes = new Map(
      specs.flatMap(({ name, shape }) => [name, firstMoment(name), secondMoment(name)].map((key) => [key, shape])),
    );
    let state: Record<string, Tensor> = Object.fromEntries(
      Object.entries(start).map(([name, values]) => [name, tf.tensor(values, shapes.get(name) as number[])]),
    );
    const losses: number[] = [];
    for (let step = 1; step <= 20; step++) {
      const batch = batchAt(step);
      const compiled = trainer.step(step, batch);
      const { total, warmup } = tinySettings.schedule;
      const scalars = stepScalars(tinySettings.optimizer, step, cosineFactor((step - 1) * 6, total, warmup));
      const images = bytesTensor(batch.images, [6, 8, 8, 3]);
      const eager = tf.tidy(() => {
        const feeds = {
          images,
          tokens: tf.tensor2d(batch.tokens, [6, 5], 'int32'),
          schedule: tf.scalar(scalars.schedule),
          correction1: tf.scalar(scalars.correction1),
          correction2: tf.scalar(scalars.correction2),
        };
        const { outputs, state: next } = signature.run(state, feeds);
        return { loss: outputs.loss!, ...next } as unknown as Record<string, Tensor>;
      });
      const loss = eager.loss!.dataSync()[0]!;
      losses.push(loss);
      expect(Math.abs(compiled.loss - loss) / loss).toBeLessThan(1e-5);
      state = eager;
    }
    const values = trainer.program.read(trainer.stateNames);
    for (const { name } of specs) {
      // Softmax does not see a shift of all keys: the true gradient of their bias is zero, and Adam scales its noise up.
      if (/k_proj.bias|in_proj_bias/.test(name)) continue;
      const [a, b] = [values[name]!, state[name]!.dataSync()];
      const scale = Math.max(...b.map(Math.abs));
      expect(Math.max(...a.map((x, i) => Math.abs(x - b[i]!))) / scale, name).toBeLessThan(1e-4);
    }
    expect(losses.at(-1)).not.toBe(losses[0]);
    trainer.program.dispose();
  });

  it('ends in the same bytes in every run', () => {
    const run = () => {
      const trainer = createTrainer(tinySettings);
      trainer.program.write(freshState());
      for (let step = 1; step <= 5; step++) trainer.step(step, batchAt(step));
      const values = trainer.program.read(trainer.stateNames);
      trainer.program.dispose();
      return { hash: trainer.program.hash, values };
    };
    const [a, b] = [run(), run()];
    expect(a.hash).toBe(b.hash);
    for (const [name, values] of Object.entries(a.values)) expect(values, name).toEqual(b.values[name]);
  });

  it('counts the schedule by the examples that the run saw, whatever the step: after all of them nothing moves', () => {
    const trainer = createTrainer(tinySettings);
    const start = freshState();
    const moved = (seen: number) => {
      trainer.program.write(start);
      trainer.step(7, batchAt(1), seen);
      const now = trainer.program.read(['text_model.head.weight'])['text_model.head.weight']!;
      return Math.max(...now.map((value, i) => Math.abs(value - start['text_model.head.weight']![i]!)));
    };
    const { total, warmup } = tinySettings.schedule;
    expect(moved(total)).toBe(0);
    expect(moved(warmup / 4) / moved(warmup)).toBeCloseTo(0.25, 3);
    trainer.program.dispose();
  });

  it('learns a fixed batch by heart: the loss falls below a tenth', () => {
    const trainer = createTrainer({
      ...tinySettings,
      optimizer: { ...tinySettings.optimizer, learningRate: 3e-3, weightDecay: 0 },
      schedule: { total: 6 * 600, warmup: 6 * 10 },
    });
    trainer.program.write(freshState());
    const batch = batchAt(0);
    const losses = Array.from({ length: 300 }, (_, i) => trainer.step(i + 1, batch).loss);
    expect(losses.at(-1)!).toBeLessThan(losses[0]! / 10);
    trainer.program.dispose();
  });

  it('keeps the number of tensors and the memory of the process flat', () => {
    const trainer = createTrainer(tinySettings);
    trainer.program.write(freshState());
    for (let step = 1; step <= 50; step++) trainer.step(step, batchAt(step));
    const before = { tensors: tf.memory().numTensors, rss: process.memoryUsage().rss };
    for (let step = 51; step <= 550; step++) trainer.step(step, batchAt(step));
    expect(tf.memory().numTensors).toBe(before.tensors);
    expect(process.memoryUsage().rss - before.rss).toBeLessThan(30e6);
    trainer.program.dispose();
  });

  it.each([
    ['in three micro-batches', { accumulate: 3 }],
    ['with activations computed again', { remat: 'blocks' as const }],
  ])('%s has the gradients of the plain step', (_, how) => {
    // One step of plain descent shows the gradient: Adam would hide its size.
    const optimizer = { ...tinySettings.optimizer, clipNorm: 1e9, beta1: 0, beta2: 0, epsilon: 1e6, learningRate: 1e6 };
    const base = { ...tinySettings, optimizer: { ...optimizer, weightDecay: 0, multipliers: {} } };
    const after = [base, { ...base, ...how }].map((settings) => {
      const trainer = createTrainer({ ...settings, schedule: { total: 600, warmup: 0 } });
      trainer.program.write(freshState());
      const metrics = trainer.step(1, batchAt(1));
      const values = trainer.program.read(trainer.stateNames);
      trainer.program.dispose();
      return { ...metrics, values };
    });
    expect(after[1]!.loss).toBeCloseTo(after[0]!.loss, 5);
    expect(after[1]!.gradientNorm / after[0]!.gradientNorm).toBeCloseTo(1, 5);
    const start = freshState();
    for (const { name } of specs) {
      if (/k_proj.bias|in_proj_bias/.test(name)) continue; // Zero but for rounding.
      const moved = after.map(({ values }) => values[name]!.map((value, i) => value - start[name]![i]!));
      const scale = Math.max(1e-3, ...moved[0]!.map(Math.abs));
      expect(Math.max(...moved[0]!.map((x, i) => Math.abs(x - moved[1]![i]!))) / scale, name).toBeLessThan(1e-5);
    }
  });
});
