import { describe, expect, it } from 'vitest';
import type { Kin } from '../../src/objectives/kin.ts';
import { sigmoidLoss } from '../../src/objectives/sigmoid.ts';
import { differentiate } from '../../src/optimiser/differentiate.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';

const [n, width] = [7, 5];
const random = randomStream(7, 'kin');
const draw = () => Array.from({ length: n * width }, () => random.normal());
const inputs = { images: draw(), texts: draw(), logit_scale: [0.4], logit_bias: [-0.9] };
type Inputs = typeof inputs;

// By text, class and picture: 0 and 3 share a text, 1, 4 and 6 a class, 2 and 4 a picture.
const groups = [
  [10, 20, 30],
  [11, 21, 31],
  [12, 22, 32],
  [10, 23, 33],
  [14, 21, 32],
  [15, 25, 35],
  [16, 21, 36],
];
/** The text of an example and those that it has: picture 0 has the texts of 2 and 5 too, and picture 6 that of 1. */
const ownTexts = [
  [10, 10, 12, 15],
  [11, 11, 11, 11],
  [12, 12, 77, 12],
  [10, 10, 10, 10],
  [14, 14, 78, 79],
  [15, 15, 15, 15],
  [16, 16, 16, 11],
];
const isKin = (i: number, j: number, any: boolean) =>
  groups[i]!.some((number, g) => number === groups[j]![g]) || (any && ownTexts[i]!.slice(1).includes(ownTexts[j]![0]!));

/** Pair by pair in float64. */
function slowLoss({ images, texts, logit_scale, logit_bias }: Inputs, as: Kin['as'], any: boolean): number {
  const row = (all: number[], i: number) => {
    const own = all.slice(i * width, (i + 1) * width);
    return own.map((x) => x / Math.hypot(...own));
  };
  let sum = 0;
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      if (i !== j && isKin(i, j, any) && as === 'ignored') continue;
      const positive = i === j || isKin(i, j, any);
      const cosine = row(images, i).reduce((total, x, k) => total + x * row(texts, j)[k]!, 0);
      const logit = Math.exp(logit_scale[0]!) * cosine + logit_bias[0]!;
      sum += Math.log1p(Math.exp(positive ? -logit : logit));
    }
  return sum / n;
}

describe.each([
  ['ignored', false],
  ['positive', false],
  ['positive', true],
] as const)('pairs of examples that have something in common, %s, by any text: %s', (as, any) => {
  it.each([3, 7])('have the loss of a loop over pairs, and the gradients of its differences: tiles of %i', (side) => {
    const at = {
      images: tf.tensor2d(inputs.images, [n, width]),
      texts: tf.tensor2d(inputs.texts, [n, width]),
      logit_scale: tf.tensor1d(inputs.logit_scale),
      logit_bias: tf.tensor1d(inputs.logit_bias),
    };
    const kin = {
      as,
      groups_BG: tf.tensor2d(any ? groups.map((own, i) => [...own, ...ownTexts[i]!]) : groups, undefined, 'int32'),
    };
    const { value, gradients } = differentiate(Object.keys(at), at, (p) => ({
      value: sigmoidLoss(p, p.images!, p.texts!, side, kin),
      aside: {},
    }));
    expect(value.dataSync()[0]).toBeCloseTo(slowLoss(inputs, as, any), 5);
    expect(
      Math.abs(slowLoss(inputs, as, any) - slowLoss(inputs, as === 'ignored' ? 'positive' : 'ignored', false)),
    ).toBeGreaterThan(0.1);
    const step = 1e-5;
    for (const name of Object.keys(inputs) as (keyof Inputs)[])
      for (const [i, found] of gradients[name]!.dataSync().entries()) {
        const moved = (by: number) =>
          slowLoss({ ...inputs, [name]: inputs[name].map((x, k) => (i === k ? x + by : x)) }, as, any);
        expect(found, `${name}[${i}]`).toBeCloseTo((moved(step) - moved(-step)) / (2 * step), 4);
      }
  });
});
