import type { Tensor } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { ParameterSpec } from '../../src/model/parameters.ts';
import { optimiserStep, stepScalars } from '../../src/optimiser/optimiser.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';

const settings = {
  learningRate: 0.03,
  weightDecay: 0.02,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  clipNorm: 1,
  multipliers: { scale: 5 },
};
const init = { kind: 'constant', value: 0 } as const;
const specs: ParameterSpec[] = [
  { name: 'kernel', shape: [2, 3], init, decay: true },
  { name: 'bias', shape: [3], init, decay: false },
  { name: 'scale', shape: [1], init, decay: false },
];
const schedules = [0.25, 0.5, 1, 0.75, 0.1];

/** The same update, one number at a time in double precision, written from spec 4.1 alone. */
function slowReference(start: Record<string, number[]>, gradients: Record<string, number[]>[]) {
  const p = structuredClone(start);
  const m: Record<string, number[]> = {};
  const v: Record<string, number[]> = {};
  gradients.forEach((gradient, k) => {
    let norm = 0;
    for (const values of Object.values(gradient)) for (const g of values) norm += g * g;
    norm = Math.sqrt(norm);
    for (const [name, values] of Object.entries(gradient)) {
      m[name] ??= values.map(() => 0);
      v[name] ??= values.map(() => 0);
      values.forEach((raw, i) => {
        const g = norm < 1 ? raw : raw / norm;
        m[name]![i] = 0.9 * m[name]![i]! + 0.1 * g;
        v[name]![i] = 0.95 * v[name]![i]! + 0.05 * g * g;
        const mHat = m[name]![i]! / (1 - 0.9 ** (k + 1));
        const vHat = v[name]![i]! / (1 - 0.95 ** (k + 1));
        const rate = 0.03 * (name === 'scale' ? 5 : 1);
        const decay = name === 'kernel' ? 0.02 * p[name]![i]! : 0;
        p[name]![i] = p[name]![i]! - schedules[k]! * ((rate * mHat) / (Math.sqrt(vHat) + 1e-8) + decay);
      });
    }
  });
  return p;
}

describe('the optimiser', () => {
  it('follows clip, Adam, decoupled decay on kernels and multipliers as a slow loop does, small and large gradients', () => {
    const random = randomStream(5, 'optimiser');
    const draw = (size: number, scale: number) => Array.from({ length: size }, () => random.normal() * scale);
    const start = { kernel: draw(6, 1), bias: draw(3, 1), scale: draw(1, 1) };
    // Norms on both sides of the clipping bound.
    const gradients = [3, 0.05, 40, 0.2, 1].map((s) => ({ kernel: draw(6, s), bias: draw(3, s), scale: draw(1, s) }));
    let state: Record<string, Tensor> = {};
    for (const { name, shape } of specs) {
      state[name] = tf.tensor(start[name as 'kernel'], shape as number[]);
      state[`m/${name}`] = tf.zeros(shape as number[]);
      state[`v/${name}`] = tf.zeros(shape as number[]);
    }
    gradients.forEach((gradient, k) => {
      const tensors = Object.fromEntries(
        specs.map(({ name, shape }) => [name, tf.tensor(gradient[name as 'kernel'], shape as number[])]),
      );
      const { schedule, correction1, correction2 } = stepScalars(settings, k + 1, schedules[k]!);
      const scalars = {
        schedule: tf.scalar(schedule),
        correction1: tf.scalar(correction1),
        correction2: tf.scalar(correction2),
      };
      const result = optimiserStep(specs, settings, state, tensors as Record<string, Tensor>, scalars);
      const norm = Math.hypot(...Object.values(gradient).flat());
      expect(result.gradientNorm.dataSync()[0]).toBeCloseTo(norm, 3);
      state = { ...result.state };
    });
    const expected = slowReference(start, gradients);
    for (const { name } of specs) {
      expect([...state[name]!.dataSync()], name).toEqual(expected[name]!.map((value) => expect.closeTo(value, 5)));
    }
  });
});

it('the corrections of its bias are the same bits on each version of Node: Math.pow differs, rounded to float32 it does not', () => {
  const corrections = new Float32Array(4 * 20_000);
  for (const [i, beta] of [0.9, 0.95, 0.98, 0.999].entries())
    for (let step = 1; step <= 20_000; step++)
      corrections[i * 20_000 + step - 1] = stepScalars({ ...settings, beta2: beta }, step, 1).correction2;
  expect(corrections[0]).toBeCloseTo(10, 5);
  expect(sha256(new Uint8Array(corrections.buffer))).toBe(
    '01662eb9f384bf9559ebc87e9eee1951622e4e6a7c7371b4c0bb0e5586287c86',
  );
});
