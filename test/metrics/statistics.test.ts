import { describe, expect, it } from 'vitest';
import { bootstrap, bootstrapDifference, ofMean, ofSums, quantile } from '../../src/metrics/bootstrap.ts';
import { calibration, evenThreshold, PairHistogram, scoredPairs } from '../../src/metrics/calibration.ts';
import { figuresOf } from '../../src/metrics/figure.ts';
import { groupFigures, representationBias } from '../../src/metrics/groups.ts';
import { segmentation } from '../../src/metrics/segmentation.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { expectFigures, load, valueIn } from './fixtures/load.ts';

const fixture = load('classification');
const sure = (confidence: number, right: boolean) => ({ name: 'one', confidence, right });

describe('calibration', () => {
  it('is that of torchmetrics and scikit-learn', () => {
    const { confidence, right, torchmetrics, sklearn } = fixture.calibration;
    const all = confidence.map((value: number, i: number) => sure(value, right[i] === 1));
    expectFigures(figuresOf(calibration(), all), { torchmetrics, sklearn });
  });

  it('of a model that is as sure as it is right is next to nothing', () => {
    const stream = randomStream(7, 'sure');
    const all = Array.from({ length: 50_000 }, () => {
      const confidence = stream.next();
      return sure(confidence, stream.next() < confidence);
    });
    expect(valueIn(figuresOf(calibration(), all), 'ece')).toBeLessThan(0.01);
  });

  it('of one sure and right answer is no error, of nothing null, and of what is no probability refused', () => {
    expect(figuresOf(calibration(), [sure(1, true)]).map(({ value }) => value)).toEqual([0, 0, 0]);
    expect(figuresOf(calibration(), [sure(0.9, false)]).map(({ value }) => value)).toEqual([0.9, 0.9, 0.9]);
    expect(figuresOf(calibration(), []).map(({ value }) => value)).toEqual([null, null, null]);
    expect(() => figuresOf(calibration(), [sure(Number.NaN, true)])).toThrow(
      'its confidence is NaN, and must be 0 to 1',
    );
  });

  it('finds the score from which a pair is more likely right where isotonic regression does, ties and all', () => {
    const { scores, right, isotonic, fewest_mistakes } = fixture.calibration.pairs;
    expect(evenThreshold(scoredPairs(scores, right))).toBe(isotonic);
    expect(isotonic).toBe(fewest_mistakes);
    expect(evenThreshold(scoredPairs([0.1, 0.2], [0, 0]))).toBe(null);
    expect(evenThreshold(scoredPairs([0.3, 0.3], [0, 1]))).toBe(null);
    expect(evenThreshold([])).toBe(null);
  });

  it('finds it in a histogram of as many pairs as there are, within a bin', () => {
    const stream = randomStream(6, 'pairs');
    const histogram = new PairHistogram();
    const [scores, right]: [number[], number[]] = [[], []];
    for (let i = 0; i < 20_000; i++) {
      const cosine = 2 * stream.next() - 1;
      right.push(stream.next() < 1 / (1 + Math.exp(-40 * (cosine - 0.25))) ? 1 : 0);
      scores.push(cosine);
      histogram.add(cosine, right[i] === 1);
    }
    const threshold = valueIn(histogram.figures(), 'threshold')!;
    expect(Math.abs(threshold - evenThreshold(scoredPairs(scores, right))!)).toBeLessThan(2 / 65_536);
    expect(Math.abs(threshold - 0.25)).toBeLessThan(0.03);
    expect(valueIn(histogram.figures(), 'share_right')).toBeCloseTo(right.reduce((a, b) => a + b, 0) / 20_000, 12);
    expect(() => histogram.add(Number.NaN, true)).toThrow('its cosine is NaN');
  });
});

describe('groups', () => {
  const { hits, income, fairlearn, pandas } = fixture.groups;

  it('have the shares, gaps and ratios of fairlearn and pandas', () => {
    expectFigures(groupFigures(hits, income, { axis: 'income' }), { fairlearn, pandas });
  });

  it('without an example are named and are no worst group; what has no group is counted', () => {
    const found = groupFigures([1, 0, 1], ['a', null, 'a'], { axis: 'region', expected: ['a', 'b'] });
    expect(found.map(({ name, value, of }) => [name, value, of])).toEqual([
      ['region/a', 1, 2],
      ['region/b', null, 0],
      ['region_worst', 1, 1],
      ['region_gap', 0, 1],
      ['region_ratio', 1, 1],
      ['region_ungrouped', 1, 3],
    ]);
    expect(groupFigures([], [], { axis: 'x' }).map(({ value }) => value)).toEqual([null, null, null]);
    expect(valueIn(groupFigures([0, 0], ['a', 'b'], { axis: 'x' }), 'x_ratio')).toBe(null);
    expect(() => groupFigures([Number.NaN], ['a'], { axis: 'x' })).toThrow('its value is NaN');
  });

  it('are preferred or not: 0.355 where 85.5 % of pictures score higher for the first text, as in the paper', () => {
    const first = Array.from({ length: 1000 }, (_, i) => (i < 855 ? 0.2 : 0.1));
    expect(
      representationBias(
        first,
        first.map(() => 0.15),
      ).value,
    ).toBeCloseTo(0.355, 12);
    expect(representationBias([1, 2], [1, 2]).value).toBe(0);
    expect(representationBias([], []).value).toBe(null);
    expect(() => representationBias([Number.NaN], [1])).toThrow('a score of it is not a number');
  });
});

describe('intervals', () => {
  const { cluster, clusters, standard_error, values, quantiles } = fixture.bootstrap;
  const hits: number[] = fixture.groups.hits;

  it("have NumPy's quantiles", () => {
    const sorted = Float64Array.from(values as number[]).sort();
    for (const [share, value] of Object.entries(quantiles))
      expect(quantile(sorted, Number(share))).toBeCloseTo(value as number, 12);
  });

  it('by cluster are as wide as the linearised standard error says, and the same for the same seed', () => {
    const found = bootstrap(clusters, ofMean(hits, cluster, clusters), { seed: 1, resamples: 4000 });
    expect(found.value).toBeCloseTo(hits.reduce((a, b) => a + b, 0) / hits.length, 12);
    const width = (found.high! - found.low!) / (2 * 1.959964);
    expect(Math.abs(width / standard_error - 1)).toBeLessThan(0.08);
    expect(bootstrap(clusters, ofMean(hits, cluster, clusters), { seed: 1, resamples: 4000 })).toEqual(found);
    expect(bootstrap(clusters, ofMean(hits, cluster, clusters), { seed: 2, resamples: 4000 })).not.toEqual(found);
  });

  it('of five equal captions a picture are those of one: more captions are not more pictures', () => {
    const once = bootstrap(
      90,
      ofMean(
        hits,
        Array.from(hits, (_, i) => i),
        90,
      ),
      { seed: 3 },
    );
    const fivefold = hits.flatMap((hit) => [hit, hit, hit, hit, hit]);
    const five = bootstrap(
      90,
      ofMean(
        fivefold,
        fivefold.map((_, i) => Math.floor(i / 5)),
        90,
      ),
      { seed: 3 },
    );
    expect([five.low, five.high]).toEqual([once.low, once.high]);
    const naive = bootstrap(
      450,
      ofMean(
        fivefold,
        fivefold.map((_, i) => i),
        450,
      ),
      { seed: 3 },
    );
    expect((once.high! - once.low!) / (naive.high! - naive.low!)).toBeGreaterThan(2);
  });

  it('hold the truth in about 95 of 100 samples', () => {
    let held = 0;
    for (let sample = 0; sample < 200; sample++) {
      const stream = randomStream(sample, 'coverage');
      const drawn = Array.from({ length: 120 }, () => (stream.next() < 0.3 ? 1 : 0));
      const found = bootstrap(
        120,
        ofMean(
          drawn,
          Array.from(drawn, (_, i) => i),
          120,
        ),
        { seed: sample, resamples: 300 },
      );
      if (found.low! <= 0.3 && found.high! >= 0.3) held++;
    }
    expect(held).toBeGreaterThanOrEqual(182);
    expect(held).toBeLessThanOrEqual(199);
  });

  it('of two models on the same pictures find a difference that two intervals alone would not', () => {
    const stream = randomStream(8, 'models');
    const [a, b]: [number[], number[]] = [[], []];
    for (let i = 0; i < 400; i++) {
      a.push(stream.next() < 0.5 ? 1 : 0);
      b.push(a[i] === 1 || stream.next() < 0.06 ? 1 : 0);
    }
    const numbers = Array.from(a, (_, i) => i);
    const [ofA, ofB] = [ofMean(a, numbers, 400), ofMean(b, numbers, 400)];
    const [alone, other] = [bootstrap(400, ofA, { seed: 1 }), bootstrap(400, ofB, { seed: 1 })];
    expect(alone.high!).toBeGreaterThan(other.low!);
    expect(bootstrapDifference(400, ofA, ofB, { seed: 1 })).toMatchObject({ differs: true });
    expect(bootstrapDifference(400, ofA, ofA, { seed: 1 })).toMatchObject({
      value: 0,
      low: 0,
      high: 0,
      differs: false,
    });
  });

  it('of one picture, of nothing, and of samples without a figure are none, and then nothing differs', () => {
    const one = ofMean([1], [0], 1);
    expect(bootstrap(1, one, { seed: 1 })).toMatchObject({ value: 1, low: null, high: null });
    expect(bootstrap(0, ofMean([], [], 0), { seed: 1 })).toMatchObject({ value: null, low: null, clusters: 0 });
    expect(bootstrapDifference(1, one, ofMean([0], [0], 1), { seed: 1 }).differs).toBe(false);
    expect(bootstrap(2, (times) => (times[0] === times[1] ? 1 : null), { seed: 1, resamples: 101 }).high).not.toBe(
      undefined,
    );
    expect(() => ofMean([1], [3], 2)).toThrow('it is of cluster 3, and there are 2');
  });

  it('of a figure of sums, such as mIoU, come from sums of each picture', () => {
    const metric = segmentation({ classes: fixture.classes });
    const stream = randomStream(9, 'masks');
    const rows = new Float64Array(metric.width * 20);
    for (let i = 0; i < 20; i++) {
      const truth = Array.from({ length: 50 }, () => stream.below(4));
      const predicted = truth.map((is) => (stream.next() < 0.7 ? is : stream.below(4)));
      metric.tally({ name: `${i}`, truth, predicted }, rows.subarray(i * metric.width, (i + 1) * metric.width));
    }
    const mIoU = ofSums(rows, metric.width, (sums) => valueIn(metric.figures(sums), 'mIoU')!);
    const found = bootstrap(20, mIoU, { seed: 5, resamples: 200 });
    expect(found.low!).toBeLessThan(found.value!);
    expect(found.high!).toBeGreaterThan(found.value!);
    expect(found.high! - found.low!).toBeLessThan(0.2);
  });
});
