import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { scoredPairs } from '../../src/metrics/calibration.ts';
import { fitLogit, thresholdOfPrecision } from '../../src/metrics/pair-fit.ts';

const fixture = JSON.parse(readFileSync(new URL('fixtures/pair_fit.json', import.meta.url), 'utf8')) as {
  scores: number[];
  labels: number[];
  fits: { weight: number; scale: number; bias: number }[];
  thresholds: { wanted: number; threshold: number; precision: number; recall: number; interval: [number, number] }[];
};
const pairs = scoredPairs(fixture.scores, fixture.labels);

describe('a fit of scale and bias', () => {
  it.each(fixture.fits)('is that of scikit-learn, with wrong pairs at weight $weight', ({ weight, scale, bias }) => {
    const found = fitLogit(pairs, weight)!;
    expect(found.scale / scale).toBeCloseTo(1, 6);
    expect(found.bias / bias).toBeCloseTo(1, 6);
    expect(found.gradient).toBeLessThan(1e-8);
  });

  it('is none where scores tell all pairs, or there are none of a kind', () => {
    expect(fitLogit(scoredPairs([0.1, 0.2, 0.3], [0, 0, 1]))).toBe(null);
    expect(fitLogit(scoredPairs([0.1, 0.2, 0.3], [1, 0, 0]))).toBe(null);
    expect(fitLogit(scoredPairs([0.1, 0.2], [1, 1]))).toBe(null);
    expect(fitLogit([])).toBe(null);
  });
});

describe('the threshold of a precision', () => {
  it.each(fixture.thresholds)('of $wanted is that of scikit-learn, with the interval of SciPy', (known) => {
    const found = thresholdOfPrecision(pairs, known.wanted)!;
    expect(found.threshold).toBe(known.threshold);
    expect(found.precision).toBeCloseTo(known.precision, 12);
    expect(found.recall).toBeCloseTo(known.recall, 12);
    expect(found.interval[0]).toBeCloseTo(known.interval[0], 12);
    expect(found.interval[1]).toBeCloseTo(known.interval[1], 12);
    expect(found.between[0]).toBeLessThanOrEqual(found.threshold);
    if (found.between[1] !== null) expect(found.between[1]).toBeGreaterThanOrEqual(found.threshold);
  });

  it('counts a wrong pair by its weight, and is none where no score is so good', () => {
    const [few] = [thresholdOfPrecision(pairs, 0.9, 0.05)!];
    expect(few.threshold).toBeLessThan(thresholdOfPrecision(pairs, 0.9)!.threshold);
    expect(few.precision).toBeCloseTo(few.right / (few.right + 0.05 * few.wrong), 12);
    expect(thresholdOfPrecision(scoredPairs([0.2, 0.1], [0, 1]), 0.9)).toBe(null);
  });
});
