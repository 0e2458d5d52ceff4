import { describe, expect, it } from 'vitest';
import { sigmoidLoss } from '../../src/objectives/sigmoid.ts';
import { differentiate } from '../../src/optimiser/differentiate.ts';
import { replicasSchema } from '../../src/recipe/replicas.ts';
import { trainedSettings } from '../../src/recipe/trained-settings.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { tinySettings } from '../train/settings.ts';

const [n, width] = [6, 4];
const random = randomStream(8, 'reweighted');
const draw = () => Array.from({ length: n * width }, () => random.normal());
const inputs = { images: draw(), texts: draw(), logit_scale: [0.4], logit_bias: [-0.9] };
type Inputs = typeof inputs;
// Examples 0 and 4 share a text.
const groups = [[1], [2], [3], [4], [1], [6]];
const isKin = (i: number, j: number) => groups[i]![0] === groups[j]![0];

/** Pair by pair in float64: those of these examples, where a negative weighs so much. */
function slowLoss(
  { images, texts, logit_scale, logit_bias }: Inputs,
  weight: number,
  { of = [0, 1, 2, 3, 4, 5], as = null as 'ignored' | 'positive' | null } = {},
): number {
  const row = (all: number[], i: number) => {
    const own = all.slice(i * width, (i + 1) * width);
    return own.map((x) => x / Math.hypot(...own));
  };
  let sum = 0;
  for (const i of of)
    for (const j of of) {
      if (i !== j && as === 'ignored' && isKin(i, j)) continue;
      const positive = i === j || (as === 'positive' && isKin(i, j));
      const cosine = row(images, i).reduce((total, x, k) => total + x * row(texts, j)[k]!, 0);
      const logit = Math.exp(logit_scale[0]!) * cosine + logit_bias[0]!;
      sum += (positive ? 1 : weight) * Math.log1p(Math.exp(positive ? -logit : logit));
    }
  return sum / of.length;
}

function found(batches: number, side: number, as: 'ignored' | 'positive' | null, of = [0, 1, 2, 3, 4, 5]) {
  const rows = (all: number[]) => of.map((i) => all.slice(i * width, (i + 1) * width));
  const at = {
    images: tf.tensor2d(rows(inputs.images)),
    texts: tf.tensor2d(rows(inputs.texts)),
    logit_scale: tf.tensor1d(inputs.logit_scale),
    logit_bias: tf.tensor1d(inputs.logit_bias),
  };
  const kin = as && { as, groups_BG: tf.tensor2d(groups, [n, 1], 'int32') };
  const { value, gradients } = differentiate(Object.keys(at), at, (p) => ({
    value: sigmoidLoss(p, p.images!, p.texts!, side, kin, batches),
    aside: {},
  }));
  return { loss: value.dataSync()[0]!, gradients };
}

describe('the sigmoid loss of a batch that stands for four', () => {
  const weight = (4 * n - 1) / (n - 1);

  it.each([
    [6, null],
    [4, null],
    [6, 'ignored'],
    [4, 'positive'],
  ] as const)('has in tiles of %i, with kin %s, loss and gradients of a loop that weighs negatives', (side, as) => {
    const { loss, gradients } = found(4, side, as);
    expect(loss).toBeCloseTo(slowLoss(inputs, weight, { as }), 4);
    const step = 1e-5;
    for (const name of Object.keys(inputs) as (keyof Inputs)[]) {
      const values = gradients[name]!.dataSync();
      for (const i of inputs[name].keys()) {
        const moved = (by: number) =>
          slowLoss({ ...inputs, [name]: inputs[name].map((x, k) => (i === k ? x + by : x)) }, weight, { as });
        expect(values[i], `${name}[${i}]`).toBeCloseTo((moved(step) - moved(-step)) / (2 * step), 3);
      }
    }
  });
});

it('the mean over every batch of two that could be drawn of six pairs is the loss of the six, and so is that of its gradients', () => {
  const pairs = [0, 1, 2, 3, 4, 5].flatMap((i) => [0, 1, 2, 3, 4, 5].filter((j) => j > i).map((j) => [i, j]));
  const each = pairs.map((of) => found(3, 2, null, of));
  const mean = (numbers: number[]) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
  const whole = found(1, 6, null);
  expect(mean(each.map(({ loss }) => loss))).toBeCloseTo(whole.loss, 5);
  for (const name of ['logit_scale', 'logit_bias'])
    expect(mean(each.map(({ gradients }) => gradients[name]!.dataSync()[0]!))).toBeCloseTo(
      whole.gradients[name]!.dataSync()[0]!,
      5,
    );
  // As they are, they lack most negatives.
  expect(Math.abs(mean(pairs.map((of) => slowLoss(inputs, 1, { of }))) - whole.loss)).toBeGreaterThan(0.5);
});

it('negatives weigh by the replicas of the recipe where it says so, and with one replica nothing is changed', () => {
  const replicas = (of: object) => replicasSchema.parse({ number: 4, steps: 5, ...of });
  const trained = (of: object) => trainedSettings({ ...tinySettings, replicas: replicas(of) });
  expect(trained({ negatives: 'reweighted' }).objectives.sigmoid).toEqual({ weight: 1, batches: 4 });
  expect(trained({})).toEqual(tinySettings);
  expect(trained({ negatives: 'reweighted', number: 1 })).toEqual(tinySettings);
});
