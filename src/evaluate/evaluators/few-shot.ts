import type { z } from 'zod';
import { permutation, randomStream } from '../../runtime/random.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import { type Matrix, takeRows } from '../numbers/matrix.ts';
import { shareAmong } from '../numbers/places.ts';
import { gram, solveSymmetric } from '../numbers/solve.ts';
import type { Evaluator, Figures } from './contract.ts';
import { groupsOf } from './groups.ts';
import { labelled } from './labels.ts';
import { type Linear, linearPlaces } from './linear-places.ts';
import { numberIn, trained } from './probe-data.ts';
import type { fewShotSettings } from './settings.ts';

type Settings = z.infer<typeof fewShotSettings>;

/** So large that the bias, which is a feature of this value, is hardly held back by the penalty. */
const biasFeature = 100;

/**
 * A ridge regression in closed form on a few examples of each class (big_vision `evaluators/fewshot_lsr.py`): features are
 * brought to mean 0 and deviation 1, targets are -1 and 1, and a feature of 100 stands for the bias. Means over the draws. With
 * `label` a group is told in the place of the class: SigLIP 2's geolocation from 10 examples of each country (3.5).
 */
export const fewShot: Evaluator<Settings> = {
  needs: (_, { label }) => ({ train: true, ...(label !== undefined && { truth: true }) }),
  protocol: ({ l2, seeds, shots, label }, seed) => ({
    ...(label !== undefined && { label }),
    ties: 'against the model',
    features: 'pooled, by mean and deviation of the examples learned from',
    probe: `ridge, l2 ${l2}, bias ${biasFeature}`,
    shots: shots.join(', '),
    seeds,
    seed,
  }),
  async evaluate({ test, train, view, seed, pause }, { shots, seeds, l2, label }) {
    const labelsOf = (set: FeatureSet, of: string) =>
      label === undefined ? set.concepts : groupsOf(set, label, of).map((group) => (group === null ? [] : [group]));
    const learned = trained(labelsOf(train!, 'train: '));
    const { labels, leftOut, notes } = labelled(
      labelsOf(test, 'data: '),
      numberIn(learned.classes),
      'no example in train',
    );
    const [from, to] = [await train!.pooled(view), await test.pooled(view)];
    const counted = { classes: learned.classes.length, examples: labels.length - leftOut, left_out: leftOut };
    const figures: Record<string, Figures> = {};
    const scarce: string[] = [];
    for (const count of shots) {
      const accuracies: number[] = [];
      for (let draw = 0; draw < seeds; draw++) {
        const { chosen, short } = drawn(learned.labels, learned.classes.length, count, seed + draw);
        if (draw === 0 && short > 0)
          scarce.push(`${short} classes have fewer than ${count} examples in train: all of them are taken`);
        const { mean, deviation } = scales(takeRows(from, chosen));
        const probe = ridge(
          scaled(takeRows(from, chosen), mean, deviation),
          Int32Array.from(chosen, (i) => learned.labels[i]!),
          learned.classes.length,
          l2,
        );
        await pause();
        const places = await linearPlaces(scaled(to, mean, deviation), probe, labels, pause);
        accuracies.push(shareAmong(places, 1));
      }
      const mean = accuracies.reduce((sum, one) => sum + one, 0) / seeds;
      const spread = Math.sqrt(accuracies.reduce((sum, one) => sum + (one - mean) ** 2, 0) / seeds);
      figures[`shots${count}`] = { ...counted, top1: mean, deviation: spread };
    }
    return { figures, notes: [...learned.notes, ...scarce, ...notes], outcomes: {} };
  },
};

/** The first `count` of each class, in an order of that class alone. */
export function drawn(labels: Int32Array, classes: number, count: number, seed: number) {
  const byClass: number[][] = Array.from({ length: classes }, () => []);
  for (const [i, label] of labels.entries()) if (label >= 0) byClass[label]!.push(i);
  const chosen = byClass.flatMap((own, label) =>
    [...permutation(own.length, randomStream(seed, 'evaluate/few-shot', label))].slice(0, count).map((at) => own[at]!),
  );
  return { chosen, short: byClass.filter((own) => own.length < count).length };
}

/** Mean and deviation of each feature, that of a population, and 1e-5 more. */
export function scales({ width, rows }: Matrix): { readonly mean: Float64Array; readonly deviation: Float64Array } {
  const n = rows.length / width;
  const mean = new Float64Array(width);
  const squares = new Float64Array(width);
  for (let at = 0; at < rows.length; at++) mean[at % width]! += rows[at]! / n;
  for (let at = 0; at < rows.length; at++) squares[at % width]! += (rows[at]! - mean[at % width]!) ** 2 / n;
  return { mean, deviation: squares.map((one) => Math.sqrt(one) + 1e-5) };
}

export function scaled({ width, rows }: Matrix, mean: Float64Array, deviation: Float64Array): Matrix {
  return { width, rows: rows.map((value, at) => (value - mean[at % width]!) / deviation[at % width]!) };
}

/**
 * argmin over W of |X W - Y|^2 + l2 |W|^2 with a column of `biasFeature` in X: the one of two equal systems that is smaller.
 */
export function ridge({ width, rows }: Matrix, labels: Int32Array, classes: number, l2: number): Linear {
  const [n, d] = [labels.length, width + 1];
  const x = new Float64Array(n * d);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < width; k++) x[i * d + k] = rows[i * width + k]!;
    x[i * d + width] = biasFeature;
  }
  const target = (i: number, c: number) => (labels[i] === c ? 1 : -1);
  const w = new Float64Array(d * classes);
  if (n >= d) {
    const a = gram(x, d);
    for (let k = 0; k < d; k++) a[k * d + k]! += l2;
    // X^T Y of targets -1 and 1 is twice the sum of a class less that of all: n d additions, not n d c.
    for (let k = 0; k < d; k++) {
      const own = w.subarray(k * classes, (k + 1) * classes);
      let sum = 0;
      for (let i = 0; i < n; i++) {
        own[labels[i]!]! += 2 * x[i * d + k]!;
        sum += x[i * d + k]!;
      }
      for (let c = 0; c < classes; c++) own[c]! -= sum;
    }
    solveSymmetric(a, d, w);
  } else {
    const a = gram(transposed(x, n, d), n);
    for (let i = 0; i < n; i++) a[i * n + i]! += l2;
    const alpha = new Float64Array(n * classes);
    for (let i = 0; i < n; i++) for (let c = 0; c < classes; c++) alpha[i * classes + c] = target(i, c);
    solveSymmetric(a, n, alpha);
    for (let i = 0; i < n; i++)
      for (let k = 0; k < d; k++)
        for (let c = 0; c < classes; c++) w[k * classes + c]! += x[i * d + k]! * alpha[i * classes + c]!;
  }
  const biases = w.subarray(width * classes).map((value) => value * biasFeature);
  return { weights: w.subarray(0, width * classes), biases };
}

function transposed(x: Float64Array, n: number, d: number): Float64Array {
  const turned = new Float64Array(x.length);
  for (let i = 0; i < n; i++) for (let k = 0; k < d; k++) turned[k * n + i] = x[i * d + k]!;
  return turned;
}
