import { describe, expect, it } from 'vitest';
import { Figures } from '../../src/trainer/figures.ts';
import { Rates } from '../../src/trainer/rates.ts';

const lossOf = (step: number) => Math.sin(step) + 3 / step;
const figuresOf = (step: number) => ({
  loss: lossOf(step),
  gradientNorm: 1 / step,
  clipped: step % 2,
  // A source that some steps have nothing of.
  objectives: { 'loss/sigmoid': lossOf(step), ...(step % 3 === 0 && { 'source/a/candidates': 0.5 }) },
});

/** Records by step, of training from one step to another that is cut into jobs after some steps. */
function records(from: number, to: number, cuts: readonly number[]) {
  const found: [number, Record<string, number>][] = [];
  let figures = new Figures(undefined);
  for (let step = from; step <= to; step++) {
    figures.add(figuresOf(step));
    if (figures.recorded(step)) found.push([step, figures.means]);
    // What a checkpoint holds goes through JSON.
    const { since } = figures;
    if (cuts.includes(step)) figures = new Figures(since && JSON.parse(JSON.stringify(since)));
  }
  return found;
}

describe('figures of steps', () => {
  it('are recorded at each step at first, then at every tenth and every hundredth: 19,900 of a million', () => {
    const figures = new Figures(undefined);
    figures.add(figuresOf(1));
    const due = Array.from({ length: 1_000_000 }, (_, i) => i + 1).filter((step) => figures.recorded(step));
    expect(due).toHaveLength(1000 + 9900 + 9000);
    expect(due.slice(998, 1003)).toEqual([999, 1000, 1010, 1020, 1030]);
    expect(due.slice(-2)).toEqual([999_900, 1_000_000]);
    expect(due.filter((step) => step > 99_970 && step < 100_300)).toEqual([99_980, 99_990, 100_000, 100_100, 100_200]);
  });

  it('have means over the steps of a record, and the largest loss, whose sum no cut changes by a bit', () => {
    const whole = records(990, 1050, []);
    expect(records(990, 1050, [995, 1000, 1003, 1009, 1010, 1011, 1037])).toEqual(whole);
    expect(records(990, 1050, [1014, 1015, 1016])).toEqual(whole);
    const [step, means] = whole.at(-1)!;
    const steps = Array.from({ length: 10 }, (_, i) => 1041 + i);
    expect(step).toBe(1050);
    expect(means['loss/mean']).toBeCloseTo(steps.reduce((sum, at) => sum + lossOf(at), 0) / 10, 12);
    expect(means['loss/max']).toBe(Math.max(...steps.map(lossOf)));
    expect(means['source/a/candidates/mean']).toBeCloseTo(0.5 * 0.4, 12);
    // Of one step they are the step's own.
    expect(whole[0]).toEqual([
      990,
      {
        'loss/mean': lossOf(990),
        'loss/sigmoid/mean': lossOf(990),
        'gradientNorm/mean': 1 / 990,
        'clipped/mean': 0,
        'source/a/candidates/mean': 0.5,
        'loss/max': lossOf(990),
      },
    ]);
  });

  it('stay few, wherever they are cut, when the data names sources without end', () => {
    const many = (cut: number) => {
      let figures = new Figures(undefined);
      for (let step = 1001; step <= 1010; step++) {
        const shares = Array.from({ length: 50 }, (_, i) => [
          `source/s${(step * 31 + i * 7) % 400}/candidates`,
          1 / (i + 2),
        ]);
        figures.add({ loss: 1, gradientNorm: 1, clipped: 0, objectives: Object.fromEntries(shares) });
        const { since } = figures;
        expect(Object.keys(since!.sums).length).toBeLessThanOrEqual(24);
        if (step === cut) figures = new Figures(JSON.parse(JSON.stringify(since)));
      }
      return figures.means;
    };
    const means = many(0);
    expect(many(1004)).toEqual(means);
    const shares = Object.entries(means).filter(([name]) => name.startsWith('source/'));
    const all = Array.from({ length: 50 }, (_, i) => 1 / (i + 2)).reduce((sum, share) => sum + share, 0);
    expect(shares.reduce((sum, [, share]) => sum + share, 0)).toBeCloseTo(all, 9);
    expect(means['source/other/candidates/mean']).toBeGreaterThan(0);
  });

  it('that a checkpoint of an older version has no sums of have no mean before the next record', () => {
    const older = { steps: 4, sums: { loss: 8, 'loss/sigmoid': 8, gradientNorm: 4 }, maxLoss: 3 };
    const figures = new Figures(older);
    for (let step = 1005; step <= 1010; step++) figures.add(figuresOf(step));
    expect(Object.keys(figures.means)).toEqual([
      'loss/mean',
      'loss/sigmoid/mean',
      'gradientNorm/mean',
      'source/a/candidates/mean',
      'loss/max',
    ]);
    expect(figures.recorded(1010)).toBe(true);
    for (let step = 1011; step <= 1020; step++) figures.add(figuresOf(step));
    expect(figures.means['clipped/mean']).toBe(0.5);
  });

  it('leave to a checkpoint what is not recorded yet, and nothing right after a record', () => {
    const figures = new Figures(undefined);
    for (const step of [1001, 1002]) {
      figures.add(figuresOf(step));
      expect(figures.recorded(step)).toBe(false);
    }
    expect(figures.since).toMatchObject({ steps: 2, maxLoss: Math.max(lossOf(1001), lossOf(1002)) });
    figures.add(figuresOf(1010));
    expect(figures.recorded(1010)).toBe(true);
    expect(figures.since).toBe(undefined);
  });
});

describe('the rate', () => {
  const step = (took: number, data = 0) => ({ count: 100, took, waited: { data, choice: null } });

  it('leaves out the first step of each shape, which compiles, and the first after the loader was opened', () => {
    const rates = new Rates();
    expect(rates.figures).toEqual({ examplesPerSecond: 0, dataWaitShare: 0, choiceWaitShare: 0 });
    rates.add(step(60_000, 5000), 4);
    expect(rates.figures.examplesPerSecond).toBe(0);
    rates.add(step(40_000), 9);
    rates.add(step(100, 25), 4);
    rates.add(step(100, 25), 9);
    expect(rates.figures).toEqual({ examplesPerSecond: 1000, dataWaitShare: 0.25, choiceWaitShare: 0 });
    rates.opened();
    rates.add(step(9000, 8000), 4);
    expect(rates.figures.examplesPerSecond).toBe(1000);
  });

  it('is that of the last 50 steps', () => {
    const rates = new Rates();
    for (let i = 0; i < 60; i++) rates.add(step(1000), null);
    for (let i = 0; i < 50; i++) rates.add(step(50), null);
    expect(rates.figures.examplesPerSecond).toBeCloseTo(2000, 9);
  });
});
