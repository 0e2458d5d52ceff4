import { describe, expect, it } from 'vitest';
import { compile } from '../../src/compile/program.ts';
import { sigmoidLoss, tileSide } from '../../src/objectives/sigmoid.ts';
import { differentiate } from '../../src/optimiser/differentiate.ts';
import { type RandomStream, randomStream } from '../../src/runtime/random.ts';
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

  it('at the start is ten for the pair and softplus(-10) for each other text', () => {
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
  });
});

describe('the compiled sigmoid loss of 32,768 pairs, whose pictures and texts are few different ones', () => {
  const [pairs, width, pictures, captions] = [32_768, 8, 48, 40];
  const [temperature, bias] = [12, -9];
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, x, k) => sum + x * b[k]!, 0);
  const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  const slope = (x: number) => 1 / (1 + Math.exp(-x));

  /** Vectors of some length, the same of length one, and which of them each pair has. */
  function kind(count: number, random: RandomStream) {
    const rows = Array.from({ length: count }, () =>
      Float64Array.from({ length: width }, () => Math.fround(random.normal())),
    );
    const units = rows.map((row) => row.map((x) => x / Math.sqrt(dot(row, row))));
    const of = Int32Array.from({ length: pairs }, () => random.below(count));
    const counts = new Float64Array(count);
    for (const which of of) counts[which]!++;
    return { rows, units, of, counts };
  }
  const [image, text] = [kind(pictures, randomStream(6, 'pictures')), kind(captions, randomStream(6, 'captions'))];
  /** (P, C): what a picture has in common with a caption. */
  const cosines = image.units.map((z) => text.units.map((t) => dot(z, t)));
  const logit = (a: number, b: number) => temperature * cosines[a]![b]! + bias;

  /** Sums over kinds instead of pairs, in float64. */
  function closed() {
    let [loss, dScale, dBias] = [0, 0, 0];
    const add = (a: number, b: number, count: number, ofLoss: number, ofSlope: number) => {
      loss += count * ofLoss;
      dScale += count * ofSlope * temperature * cosines[a]![b]!;
      dBias += count * ofSlope;
    };
    for (let a = 0; a < pictures; a++)
      for (let b = 0; b < captions; b++)
        add(a, b, image.counts[a]! * text.counts[b]!, softplus(logit(a, b)), slope(logit(a, b)));
    // A pair's own: softplus(-l) = softplus(l) - l.
    for (let i = 0; i < pairs; i++) add(image.of[i]!, text.of[i]!, 1, -logit(image.of[i]!, text.of[i]!), -1);
    return { loss: loss / pairs, logit_scale: dScale / pairs, logit_bias: dBias / pairs };
  }

  /** d loss / d rows of the images: of all texts, less its own, through the length of the row. */
  function ofImages(): Float64Array {
    const all = image.units.map((_, a) => {
      const sum = new Float64Array(width);
      for (let b = 0; b < captions; b++)
        for (let k = 0; k < width; k++) sum[k]! += text.counts[b]! * slope(logit(a, b)) * text.units[b]![k]!;
      return sum;
    });
    const gradient = new Float64Array(pairs * width);
    for (let i = 0; i < pairs; i++) {
      const [z, row] = [image.units[image.of[i]!]!, image.rows[image.of[i]!]!];
      const dz = all[image.of[i]!]!.map((x, k) => (temperature / pairs) * (x - text.units[text.of[i]!]![k]!));
      const along = dot(z, dz);
      gradient.set(
        dz.map((x, k) => (x - along * z[k]!) / Math.sqrt(dot(row, row))),
        i * width,
      );
    }
    return gradient;
  }

  it('has the loss of the closed form and its gradients, in tiles', () => {
    expect(pairs / tileSide).toBe(16);
    const rows = { shape: [pairs, width], dtype: 'float32' } as const;
    const one = { shape: [1], dtype: 'float32' } as const;
    const feeds = { images: rows, texts: rows, logit_scale: one, logit_bias: one };
    const program = compile({
      state: {},
      signatures: {
        loss: {
          feeds,
          run(_, given) {
            const { value, gradients } = differentiate(Object.keys(feeds), given, (p) => ({
              value: sigmoidLoss(p, p.images!, p.texts!),
              aside: {},
            }));
            return { outputs: { loss: value, ...gradients } };
          },
        },
      },
    });
    const fill = ({ rows, of }: typeof image) => {
      const all = new Float32Array(pairs * width);
      for (const [i, which] of of.entries()) all.set(rows[which]!, i * width);
      return all;
    };
    const found = program.run('loss', {
      images: fill(image),
      texts: fill(text),
      logit_scale: Float32Array.of(Math.log(temperature)),
      logit_bias: Float32Array.of(bias),
    });
    program.dispose();
    const expected = closed();
    for (const [name, value] of Object.entries(expected))
      expect(Math.abs(found[name]![0]! / value - 1), name).toBeLessThan(3e-6);
    const gradient = ofImages();
    const [apart, largest] = [0, 1].map((kind) =>
      gradient.reduce((most, x, i) => Math.max(most, Math.abs(kind === 0 ? x - found.images![i]! : x)), 0),
    );
    expect(apart! / largest!).toBeLessThan(3e-6);
  });
});
