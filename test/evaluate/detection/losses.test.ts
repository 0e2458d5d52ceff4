import { readFileSync } from 'node:fs';
import type { Tensor } from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { assignment } from '../../../src/evaluate/detection/assignment.ts';
import { type Taught, wantedOf } from '../../../src/evaluate/detection/batch.ts';
import { boxBias } from '../../../src/evaluate/detection/heads.ts';
import { detectionLosses } from '../../../src/evaluate/detection/loss.ts';
import { matched } from '../../../src/evaluate/detection/matching.ts';
import { differentiate } from '../../../src/optimiser/differentiate.ts';
import { tf } from '../../../src/runtime/tensorflow.ts';

/** Made by PyTorch, torchvision and SciPy: ../fixtures/make_detection.py. */
const fixture = JSON.parse(readFileSync(new URL('../fixtures/detection.json', import.meta.url), 'utf8')) as {
  tokens: number;
  categories: number;
  counts: number[];
  logits: number[];
  boxes: number[];
  truths: { categories: number[]; boxes: number[] }[];
  matched: number[][];
  losses: { classes: number; distance: number; overlap: number };
  gradients: { logits: number[]; boxes: number[] };
  assignments: { rows: number; columns: number; costs: number[]; least: number; columnOf: number[]; unique: boolean }[];
  bias: { rows: number; columns: number; values: number[] };
};
const { tokens, categories: count } = fixture;
const taught = fixture.truths.map(({ categories, boxes }, i): Taught => {
  const picture = { patches: new Float32Array(0), bias: new Float32Array(0), tokens: fixture.counts[i]! };
  return { picture, lesson: { targets: { categories, boxes: Float32Array.from(boxes) } } };
});
const near = (found: ArrayLike<number>, wanted: readonly number[], by: number) => {
  expect(found.length).toBe(wanted.length);
  const apart = wanted.map((value, i) => Math.abs(value - found[i]!));
  expect(Math.max(...apart)).toBeLessThan(by);
};

it('assigns rows to columns at the least sum, as SciPy does', () => {
  for (const { rows, columns, costs, least, columnOf, unique } of fixture.assignments) {
    const found = assignment(costs, rows, columns);
    expect(new Set(found).size).toBe(rows);
    expect([...found].reduce((sum, column, row) => sum + costs[row * columns + column]!, 0)).toBeCloseTo(least, 5);
    if (unique) expect([...found]).toEqual(columnOf);
  }
  expect(() => assignment([Number.NaN], 1, 1)).toThrow('not finite');
});

it('matches true boxes with tokens as DETR does, and of more boxes than tokens leaves some without', () => {
  for (const [i, { lesson, picture }] of taught.entries()) {
    const logits = Float32Array.from(fixture.logits.slice(i * tokens * count, (i + 1) * tokens * count));
    const boxes = Float32Array.from(fixture.boxes.slice(4 * i * tokens, 4 * (i + 1) * tokens));
    const own = matched(logits, boxes, lesson.targets, { tokens: picture.tokens, count });
    expect([...own]).toEqual(fixture.matched[i]);
    if (lesson.targets.categories.length === 0) continue;
    const few = matched(logits, boxes, lesson.targets, { tokens: 2, count });
    expect([...few].filter((token) => token >= 0).sort()).toEqual([0, 1]);
    logits.fill(Number.NaN);
    expect(() => matched(logits, boxes, lesson.targets, { tokens, count })).toThrow('lower detection.learningRate');
  }
});

it('has the losses and the gradients of PyTorch', () => {
  const said = {
    logits: tf.tensor2d(fixture.logits, [3 * tokens, count]),
    boxes: tf.tensor2d(fixture.boxes, [3 * tokens, 4]),
  };
  const { value, gradients, aside } = differentiate(['logits', 'boxes'], said, (p) => {
    const now = p as typeof said;
    const { classes, distance, overlap } = detectionLosses(now, wantedOf(now, taught, count, 3));
    return { value: classes.add(distance).add(overlap), aside: { all: tf.stack([classes, distance, overlap]) } };
  });
  const { classes, distance, overlap } = fixture.losses;
  near(aside.all!.dataSync(), [classes, distance, overlap], 2e-6);
  near((value as Tensor).dataSync(), [classes + distance + overlap], 4e-6);
  near(gradients.logits!.dataSync(), fixture.gradients.logits, 1e-6);
  near(gradients.boxes!.dataSync(), fixture.gradients.boxes, 1e-5);
});

it('learns nothing of categories that were not looked for, nor that others of a kind are not there where not all are marked', () => {
  const logits = tf.tensor2d(fixture.logits, [3 * tokens, count]);
  const boxes = tf.tensor2d(fixture.boxes, [3 * tokens, 4]);
  const [own] = fixture.truths[0]!.categories;
  const lesson = { ...taught[0]!.lesson, lookedFor: new Set([own!, 3]), partial: new Set([own!]) };
  const { weights, classes } = wantedOf(
    { logits, boxes },
    [{ ...taught[0]!, lesson }, taught[1]!, taught[2]!],
    count,
    3,
  );
  const [weight, isOf] = [weights.arraySync() as number[][], classes.arraySync() as number[][]];
  for (let t = 0; t < tokens; t++)
    for (let category = 0; category < count; category++) {
      const counts = isOf[t]![category] === 1 || (category === 3 && category !== own);
      expect(weight[t]![category]! > 0, `${t} ${category}`).toBe(counts);
    }
  // Of padding nothing is wanted at all.
  expect(weight.slice(2 * tokens + fixture.counts[2]!).flat()).toEqual(Array(count * 5).fill(0));
});

it('lets each token begin at its place in the grid, as transformers does', () => {
  const { rows, columns, values } = fixture.bias;
  near(boxBias(rows, columns), values, 1e-6);
  // Of a side that is no multiple of a patch the grid covers a share.
  const [x] = boxBias(1, 1, [1, 0.5]);
  expect(x).toBeCloseTo(Math.log(0.5001) - Math.log1p(-0.4999), 6);
});
