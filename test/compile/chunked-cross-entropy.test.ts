import type { Tensor } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { chunkedCrossEntropy } from '../../src/compile/ops/chunked-cross-entropy.ts';
import { compile } from '../../src/compile/program.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';

const [rows, width, words] = [7, 5, 11];
const draw = (count: number, purpose: string) => {
  const random = randomStream(1, purpose);
  return Array.from({ length: count }, () => random.normal());
};
const hidden = draw(rows * width, 'hidden');
const weight = draw(words * width, 'weight');
const bias = draw(words, 'bias');
const labels = [3, 0, 10, 3, 5, 5, 1];
const rowWeights = [0.5, 1, 0, 0.25, 2, 1, 0.1];

/** One row and one word at a time, in float64. */
function slowLoss(hidden: readonly number[], weight: readonly number[], bias: readonly number[]): number {
  let sum = 0;
  for (let r = 0; r < rows; r++) {
    const logits = bias.map((b, v) => {
      let logit = b;
      for (let d = 0; d < width; d++) logit += hidden[r * width + d]! * weight[v * width + d]!;
      return logit;
    });
    sum += rowWeights[r]! * (Math.log(logits.reduce((all, logit) => all + Math.exp(logit), 0)) - logits[labels[r]!]!);
  }
  return sum;
}

const prediction = (h: Tensor, w: Tensor, b: Tensor) => ({
  hidden: h,
  weight: w,
  bias: b,
  labels: tf.tensor1d(labels, 'int32'),
  rowWeights: tf.tensor1d(rowWeights),
});
const loss = (chunk: number) => (h: Tensor, w: Tensor, b: Tensor) =>
  chunkedCrossEntropy(prediction(h, w, b), chunk).loss;
const inputs = () =>
  [tf.tensor2d(hidden, [rows, width]), tf.tensor2d(weight, [words, width]), tf.tensor1d(bias)] as Tensor[];

describe('the chunked cross entropy', () => {
  it.each([1, 2, 3, 7, 100])('of %i rows at a time is that of a loop over rows and words', (chunk) => {
    const [h, w, b] = inputs() as [Tensor, Tensor, Tensor];
    expect(loss(chunk)(h, w, b).dataSync()[0]).toBeCloseTo(slowLoss(hidden, weight, bias), 5);
  });

  it.each([2, 7])('of %i rows at a time has the gradients that differences of the loop have', (chunk) => {
    const gradients = tf
      .grads(loss(chunk))(inputs(), tf.scalar(1))
      .map((gradient) => [...gradient.dataSync()]);
    const all = [hidden, weight, bias];
    const step = 1e-5;
    for (const [which, values] of all.entries()) {
      for (const i of values.keys()) {
        const moved = (by: number) => {
          const [h, w, b] = all.map((old, k) => (k === which ? old.map((x, j) => (i === j ? x + by : x)) : old));
          return slowLoss(h!, w!, b!);
        };
        expect(gradients[which]![i]).toBeCloseTo((moved(step) - moved(-step)) / (2 * step), 4);
      }
    }
  });

  it('compiled gives what it gives op by op, the gradients too', () => {
    const spec = (...shape: number[]) => ({ shape, dtype: 'float32' as const });
    const program = compile({
      state: { h: spec(rows, width), w: spec(words, width), b: spec(words) },
      signatures: {
        step: {
          feeds: {},
          run: ({ h, w, b }) => {
            const [dh, dw, db] = tf.grads(loss(3))([h!, w!, b!], tf.scalar(1));
            return { outputs: { loss: loss(3)(h!, w!, b!), dh: dh!, dw: dw!, db: db! } };
          },
        },
      },
    });
    program.write({ h: Float32Array.from(hidden), w: Float32Array.from(weight), b: Float32Array.from(bias) });
    const found = program.run('step', {});
    program.dispose();
    expect(found.loss![0]! / slowLoss(hidden, weight, bias)).toBeCloseTo(1, 6);
    const [dh, dw, db] = tf
      .grads(loss(7))(inputs(), tf.scalar(1))
      .map((gradient) => [...gradient.dataSync()]);
    for (const [name, expected] of Object.entries({ dh, dw, db })) {
      expect([...found[name]!], name).toEqual(expected!.map((x) => expect.closeTo(x, 5)));
    }
  });
});
