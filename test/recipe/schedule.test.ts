import { describe, expect, it } from 'vitest';
import { examplesOf, phaseSpan } from '../../src/recipe/durations.ts';
import { cosineFactor, schedulePosition } from '../../src/recipe/schedule.ts';
import { cuts, nextCut } from '../../src/recipe/shards.ts';

/** The paper's base run: 40 B examples in batches of 32,768, 20,000 steps of warm-up (arXiv 2502.14786, 2.1). */
const batch = 32_768;
const total = 1_220_703 * batch;
const warmup = 20_000 * batch;

describe('the learning rate factor', () => {
  it.each([
    [976_562, 0.0986],
    [1_098_633, 0.0253],
    [1_159_668, 0.0064],
    [1_220_703, 0],
  ])('at step %i of the paper is %f', (step, factor) => {
    expect(cosineFactor(step * batch, total, warmup)).toBeCloseTo(factor, 4);
  });

  it('rises linearly from 0 to 1 while it warms up, and never again', () => {
    expect(cosineFactor(0, total, warmup)).toBe(0);
    expect(cosineFactor(5_000 * batch, total, warmup)).toBe(0.25);
    expect(cosineFactor(warmup, total, warmup)).toBe(1);
    for (let step = 20_000, before = 1.1; step <= 1_220_703; step += 10_007) {
      const factor = cosineFactor(step * batch, total, warmup);
      expect(factor).toBeLessThan(before);
      before = factor;
    }
  });

  it('starts at 1 without a warm-up and stays at 0 after the end', () => {
    expect(cosineFactor(0, 100, 0)).toBe(1);
    expect(cosineFactor(50, 100, 0)).toBeCloseTo(0.5, 12);
    expect(cosineFactor(250, 100, 0)).toBe(0);
  });

  it('of the NaFlex branch falls over 457,764 steps as it did over the last tenth', () => {
    const from = 1_098_633 * batch;
    const naflex = { total, warmup, stretch: { from, by: 3.75 } };
    expect(schedulePosition(from - batch, naflex)).toBe(from - batch);
    for (const step of [0, 1, 100_000, 228_882, 457_764]) {
      const position = schedulePosition(from + step * batch, naflex);
      expect(position / total).toBeCloseTo(0.9 + (0.1 * step) / 457_764, 6);
    }
    const factor = (step: number) =>
      cosineFactor(schedulePosition(from + step * batch, naflex), naflex.total, naflex.warmup);
    expect(factor(0)).toBeCloseTo(0.0253, 4);
    expect(factor(457_764)).toBeCloseTo(0, 8);
    const window = { from, to: total };
    expect(phaseSpan(window, batch, { step: 0, examples: 0 }, 3.75).to.step).toBe(457_762);
  });
});

describe('durations', () => {
  const facts = { batch: 256, epoch: 9_000, total: 230_400 };
  it('come out in examples, whatever their unit', () => {
    expect(examplesOf({ steps: 900 }, facts)).toBe(230_400);
    expect(examplesOf({ examples: 12 }, facts)).toBe(12);
    expect(examplesOf({ epochs: 2.5 }, facts)).toBe(22_500);
    expect(examplesOf({ percent: 80 }, facts)).toBe(184_320);
  });

  it('are unknown while the data set or the total is', () => {
    expect(examplesOf({ epochs: 2 }, { batch: 256 })).toBeNull();
    expect(examplesOf({ percent: 2 }, { batch: 256 })).toBeNull();
  });

  it('end a window at whole steps', () => {
    const start = { step: 10, examples: 5_120 };
    expect(phaseSpan({ from: 5_120, to: 6_000 }, 256, start).to).toEqual({ step: 13, examples: 5_888 });
  });
});

describe('cuts', () => {
  it('lie at multiples and at the end', () => {
    expect(cuts(0, 900, 300)).toEqual([300, 600, 900]);
    expect(cuts(0, 250, 100)).toEqual([100, 200, 250]);
    expect(cuts(7, 7, 100)).toEqual([]);
  });

  it('are the same after a resume from any step', () => {
    for (let step = 0; step < 250; step++) {
      const rest = cuts(step, 250, 60);
      expect(rest).toEqual(cuts(0, 250, 60).filter((cut) => cut > step));
      expect(nextCut(step, 60, 250)).toBe(rest[0]);
    }
  });
});
