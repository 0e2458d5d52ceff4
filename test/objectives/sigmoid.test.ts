import { describe, expect, it } from 'vitest';
import { sigmoidLoss } from '../../src/objectives/sigmoid.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';

const [n, width] = [5, 7];
const random = randomStream(6, 'sigmoid');
const draw = () => Array.from({ length: n * width }, () => random.normal());
const inputs = { images: draw(), texts: draw(), logit_scale: [0.7], logit_bias: [-1.3] };
type Inputs = typeof inputs;

/** Pair by pair in float64, from the text of arXiv 2303.15343, Algorithm 1. */
function slowLoss({ images, texts, logit_scale, logit_bias }: Inputs): number {
  const unit = (row: number[]) => row.map((x) => x / Math.sqrt(row.reduce((sum, y) => sum + y * y, 0)));
  const rows = (all: number[]) => Array.from({ length: n }, (_, i) => unit(all.slice(i * width, (i + 1) * width)));
  const [zs, ts] = [rows(images), rows(texts)];
  let sum = 0;
  for (const [i, z] of zs.entries())
    for (const [j, t] of ts.entries()) {
      const logit = Math.exp(logit_scale[0]!) * z.reduce((cosine, x, k) => cosine + x * t[k]!, 0) + logit_bias[0]!;
      sum -= Math.log(1 / (1 + Math.exp(i === j ? -logit : logit)));
    }
  return sum / n;
}

const loss = (
  images: number[],
  texts: number[],
  count: number,
  of: number,
  p: { scale: number; bias: number },
  chunk = count,
) =>
  sigmoidLoss(
    { logit_scale: tf.tensor1d([p.scale]), logit_bias: tf.tensor1d([p.bias]) },
    tf.tensor2d(images, [count, of]),
    tf.tensor2d(texts, [count, of]),
    chunk,
  ).dataSync()[0]!;

describe('the sigmoid loss', () => {
  it.each([1, 2, 5])('of %i images at a time is that of a loop over pairs', (chunk) => {
    const p = { scale: 0.7, bias: -1.3 };
    expect(loss(inputs.images, inputs.texts, n, width, p, chunk)).toBeCloseTo(slowLoss(inputs), 5);
  });

  it.each([2, 5])('of %i images at a time has the gradients that differences of the loop have', (chunk) => {
    const gradients = tf.grads((images, texts, logit_scale, logit_bias) =>
      sigmoidLoss({ logit_scale: logit_scale!, logit_bias: logit_bias! }, images!, texts!, chunk),
    )(
      [
        tf.tensor2d(inputs.images, [n, width]),
        tf.tensor2d(inputs.texts, [n, width]),
        tf.tensor1d(inputs.logit_scale),
        tf.tensor1d(inputs.logit_bias),
      ],
      tf.scalar(1),
    );
    const step = 1e-5;
    for (const [which, name] of (Object.keys(inputs) as (keyof Inputs)[]).entries()) {
      const found = gradients[which]!.dataSync();
      for (const i of inputs[name].keys()) {
        const moved = (by: number) =>
          slowLoss({ ...inputs, [name]: inputs[name].map((x, k) => (i === k ? x + by : x)) });
        expect(found[i], `${name}[${i}]`).toBeCloseTo((moved(step) - moved(-step)) / (2 * step), 4);
      }
    }
  });

  it('at the start is ten for the pair and softplus(-10) for each other text: 11.5 at the batch of the paper', () => {
    // Rows at right angles have the cosines that many random ones have nearly: 0, and here 0 to their own text too.
    const count = 16;
    const eye = (shift: number) =>
      Array.from({ length: count * 2 * count }, (_, at) =>
        at % (2 * count) === Math.floor(at / (2 * count)) + shift ? 1 : 0,
      );
    const closed = (size: number) => Math.log1p(Math.exp(10)) + (size - 1) * Math.log1p(Math.exp(-10));
    expect(loss(eye(0), eye(count), count, 2 * count, { scale: Math.log(10), bias: -10 })).toBeCloseTo(
      closed(count),
      4,
    );
    expect(closed(32_768)).toBeCloseTo(11.5, 1);
  });
});
