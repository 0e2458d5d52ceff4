import { describe, expect, it } from 'vitest';
import { averagePrecision, meanAveragePrecision } from '../../src/metrics/average-precision.ts';
import { figuresOf } from '../../src/metrics/figure.ts';
import { topK } from '../../src/metrics/top-k.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { expectFigures, load, valueIn } from './fixtures/load.ts';

const { classes, scores, labels, several, figures } = load('classification') as {
  classes: number;
  scores: number[];
  labels: number[];
  several: number[];
  figures: {
    single: Record<string, Record<string, number>>;
    multi: Record<string, number>;
    ties: { scores: number[]; right: number[]; sklearn: number };
  };
};
const row = (i: number) => Float32Array.from(scores.slice(i * classes, (i + 1) * classes));
const answer = (own: readonly number[], right: readonly number[]) => ({
  name: 'one',
  scores: Float32Array.from(own),
  labels: right,
});

describe('top-k', () => {
  it('and recall of classes are those of scikit-learn, torchmetrics and pandas; a class without an example counts in none', () => {
    const found = figuresOf(
      topK(classes),
      labels.map((label, i) => ({ name: `${i}`, scores: row(i), labels: [label] })),
    );
    expectFigures(found, figures.single);
    expect(found.map(({ of }) => of)).toEqual([90, 90, classes - 1]);
  });

  it('with several labels is a hit on any of them, and pictures without one are counted apart', () => {
    const found = figuresOf(
      topK(classes, { ks: [1] }),
      labels.map((_, i) => ({
        name: `${i}`,
        scores: row(i),
        labels: [...several.slice(i * classes, (i + 1) * classes).entries()].flatMap(([k, is]) => (is ? [k] : [])),
      })),
    );
    expectFigures(found, { NumPy: { acc1: figures.multi.any_right!, unlabelled: figures.multi.unlabelled! } });
    expect(valueIn(found, 'mean_per_class_recall')).toBeUndefined();
  });

  it('of a model that says the same of all is nothing, since ties count against it', () => {
    const found = figuresOf(topK(3, { ks: [1, 2] }), [answer([1, 1, 1], [0]), answer([1, 1, 1], [2])]);
    expect(found.slice(0, 2).map(({ value }) => value)).toEqual([0, 0]);
  });

  it('is chance for a drawn model and 1 for an oracle', () => {
    const stream = randomStream(1, 'drawn');
    const drawn = Array.from({ length: 4000 }, (_, i) =>
      answer(
        Array.from({ length: 10 }, () => stream.next()),
        [i % 10],
      ),
    );
    const found = figuresOf(topK(10), drawn);
    // Three standard errors.
    expect(Math.abs(valueIn(found, 'acc1')! - 0.1)).toBeLessThan(3 * Math.sqrt(0.09 / 4000));
    expect(Math.abs(valueIn(found, 'acc5')! - 0.5)).toBeLessThan(3 * Math.sqrt(0.25 / 4000));
    const oracle = drawn.map(({ labels: right }) =>
      answer(
        Array.from({ length: 10 }, (_, k) => (k === right[0] ? 1 : 0)),
        right,
      ),
    );
    expect(figuresOf(topK(10), oracle).map(({ value }) => value)).toEqual([1, 1, 1]);
  });

  it('of nothing, and top-5 of three classes, are null', () => {
    expect(figuresOf(topK(3), []).map(({ value }) => value)).toEqual([null, null, null]);
    expect(valueIn(figuresOf(topK(3), [answer([1, 2, 3], [2])]), 'acc5')).toBe(null);
  });

  it('refuses NaN, another number of scores, and labels that are no class, and then counts nothing', () => {
    const sums = new Float64Array(topK(3).width);
    const tally = (own: readonly number[], right: readonly number[]) => () => topK(3).tally(answer(own, right), sums);
    expect(tally([1, Number.NaN, 2], [0])).toThrow('"one" can\'t be counted: the scores: 1 of 3 values are not finite');
    expect(tally([1, 2], [0])).toThrow('the scores has 2 values, and 3 are needed');
    expect(tally([1, 2, 3], [3])).toThrow('label 3 is none of the 3 classes, which are numbered from 0');
    expect([...sums].every((sum) => sum === 0)).toBe(true);
  });
});

describe('average precision', () => {
  it('is that of scikit-learn, CLIP_benchmark and torchmetrics; a class without an example is left out', () => {
    const found = meanAveragePrecision(Float32Array.from(scores), Uint8Array.from(several), classes);
    const { sklearn, clip_benchmark, torchmetrics } = figures.multi;
    for (const value of [sklearn, clip_benchmark, torchmetrics])
      expectFigures(found, { of: { mean_average_precision: value! } });
    expect(found[0]!.of).toBe(classes - 1);
  });

  it('takes equal scores as one step, as scikit-learn does, whatever their order', () => {
    const { scores: tied, right, sklearn } = figures.ties;
    expect(averagePrecision(tied, right)).toBeCloseTo(sklearn, 9);
    expect(averagePrecision([...tied].reverse(), [...right].reverse())).toBeCloseTo(sklearn, 9);
    expect(averagePrecision([1, 2], [0, 0])).toBe(null);
    expect(averagePrecision([1], [1])).toBe(1);
  });
});
