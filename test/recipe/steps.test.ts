import { describe, expect, it } from 'vitest';
import { batchAt, PhaseSteps } from '../../src/recipe/steps.ts';

const lengths = [128, 256, 576, 784, 1024];
const naflex = { seed: 5, phase: 'naflex', batch: 32, naflex: { lengths, halveFrom: 1024 } };

describe('the batches of a phase', () => {
  it('move up where some are left out', () => {
    const without = (skip: number[]) => [0, 1, 2, 3, 4, 5].map((position) => batchAt(position, skip));
    expect(without([])).toEqual([0, 1, 2, 3, 4, 5]);
    expect(without([0])).toEqual([1, 2, 3, 4, 5, 6]);
    expect(without([2, 3, 6])).toEqual([0, 1, 4, 5, 7, 8]);
    expect(without([50])).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

describe('the steps of a phase', () => {
  it('of squares take a batch each', () => {
    const steps = new PhaseSteps({ seed: 1, phase: 'pretrain', batch: 10 });
    expect(steps.at(7)).toEqual({ first: 70, count: 10, length: null });
    expect([steps.within(99), steps.within(100), steps.seenBefore(3)]).toEqual([9, 10, 30]);
    expect(steps.shapes()).toEqual([{ count: 10, length: null }]);
  });

  it('of NaFlex draw each length as often, and take two halves of a batch at the largest', () => {
    const steps = new PhaseSteps(naflex);
    const batches = new Map<number, number>();
    let next = 0;
    for (let step = 0; step < 12_000; step++) {
      const { first, count, length } = steps.at(step);
      expect(first).toBe(next);
      expect(count).toBe(length === 1024 ? 16 : 32);
      next = first + count;
      batches.set(length!, (batches.get(length!) ?? 0) + count / 32);
    }
    // 10,000 draws of one in five: three deviations are 120.
    for (const length of lengths) expect(Math.abs(batches.get(length)! - 2000)).toBeLessThan(120);
    expect(steps.shapes().map(({ count, length }) => [length, count])).toEqual([
      [128, 32],
      [256, 32],
      [576, 32],
      [784, 32],
      [1024, 16],
    ]);
  });

  it('of NaFlex are the same wherever they are asked from, and others in another phase', () => {
    const forwards = new PhaseSteps(naflex);
    const all = Array.from({ length: 500 }, (_, step) => forwards.at(step));
    for (const step of [499, 0, 250, 17]) expect(new PhaseSteps(naflex).at(step)).toEqual(all[step]);
    expect(new PhaseSteps({ ...naflex, phase: 'other' }).at(499)).not.toEqual(all[499]);
    // Whole batches: a half of one is never left over.
    const steps = forwards.within(100 * 32 + 31);
    expect(forwards.seenBefore(steps)).toBe(100 * 32);
  });
});
