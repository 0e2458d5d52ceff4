import { describe, expect, it } from 'vitest';
import { averagePrecision, meanAveragePrecision } from '../../src/metrics/average-precision.ts';
import { expectFigures, load } from './fixtures/load.ts';

const { classes, scores, several, figures } = load('classification') as {
  classes: number;
  scores: number[];
  several: number[];
  figures: {
    multi: Record<string, number>;
    ties: { scores: number[]; right: number[]; sklearn: number };
  };
};
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
