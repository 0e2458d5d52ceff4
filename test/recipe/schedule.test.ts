import { describe, expect, it } from 'vitest';
import { examplesOf } from '../../src/recipe/durations.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { cosineFactor, schedulePosition } from '../../src/recipe/schedule.ts';
import { modelConfig, schedule } from '../../src/recipe/settings.ts';
import { cuts, nextCut } from '../../src/recipe/shards.ts';
import { phaseSpans } from '../../src/recipe/spans.ts';

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
    const naflex = { total, warmup, start: { examples: from, position: from, stretch: 3.75 } };
    for (const step of [0, 1, 100_000, 228_882, 457_764]) {
      const position = schedulePosition(from + step * batch, naflex);
      expect(position / total).toBeCloseTo(0.9 + (0.1 * step) / 457_764, 6);
    }
    const factor = (step: number) =>
      cosineFactor(schedulePosition(from + step * batch, naflex), naflex.total, naflex.warmup);
    expect(factor(0)).toBeCloseTo(0.0253, 4);
    expect(factor(457_764)).toBeCloseTo(0, 8);
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
});

describe('the phases of the paper', () => {
  const recipe = parseRecipe({
    version: 1,
    model: { vision: { size: 'B', patch: 16, resolution: 256 }, text: {} },
    data: { train: 'data/web' },
    schedule: { total: { steps: 1_220_703 }, warmup: { steps: 20_000 } },
    phases: [
      { name: 'pretrain', batch, window: { to: { percent: 80 } } },
      { name: 'distill', batch, from: 'pretrain' },
      { name: 'res-384', batch, from: 'distill', window: { from: { percent: 95 } }, vision: { resolution: 384 } },
      { name: 'trunk', batch, from: 'pretrain', window: { to: { percent: 90 } } },
      { name: 'naflex', batch, from: 'trunk', stretch: 3.75, vision: { naflex: { lengths: [256] } } },
      { name: 'later', batch, from: { run: 'other', phase: 'pretrain' }, window: { from: { percent: 99 } } },
    ],
  });
  const facts = { examples: 1e10, vocabulary: null, origins: { later: { step: 70, examples: 1234 } } };
  const spans = phaseSpans(recipe, facts);
  const named = (name: string) => recipe.phases.findIndex((phase) => phase.name === name);

  it('take the steps of the paper, and branch off where its windows begin', () => {
    const steps = spans.map(({ from, to, branches }) => [from.step, to.step - from.step, branches]);
    expect(steps).toEqual([
      [0, 976_562, [976_562]],
      [976_562, 244_140, [1_159_667]],
      [1_159_667, 61_035, []],
      [976_562, 122_070, [1_098_632]],
      [1_098_632, 457_763, []],
      [70, 12_207, []],
    ]);
  });

  it('go down the schedule from where they start, whatever was seen before', () => {
    const factor = (name: string, step: number) => {
      const own = schedule(recipe, recipe.phases[named(name)]!, facts);
      const { from } = spans[named(name)]!;
      return cosineFactor(schedulePosition(from.examples + step * batch, own), own.total, own.warmup);
    };
    expect(factor('distill', 0)).toBeCloseTo(0.0986, 4);
    expect(factor('res-384', 0)).toBeCloseTo(0.0064, 4);
    expect(factor('naflex', 0)).toBeCloseTo(0.0253, 4);
    expect(factor('naflex', 228_882)).toBeCloseTo(0.0064, 4);
    expect(factor('naflex', 457_763)).toBeCloseTo(0, 8);
    expect(factor('later', 0)).toBeCloseTo(
      0.5 * (1 + Math.cos((Math.PI * (0.99 * total - warmup)) / (total - warmup))),
      8,
    );
    for (const name of recipe.phases
      .map((phase) => phase.name)
      .filter((name) => name !== 'pretrain' && name !== 'trunk'))
      expect(factor(name, spans[named(name)]!.to.step - spans[named(name)]!.from.step)).toBeCloseTo(0, 7);
  });

  it('see images as the phase that they go on from, unless they say otherwise', () => {
    const grids = recipe.phases.map((phase) => modelConfig(recipe, null, phase).vision.resolution);
    expect(grids).toEqual([256, 256, 384, 256, 256, 256]);
    const kinds = recipe.phases.map((phase) => modelConfig(recipe, null, phase).vision.kind ?? 'fixed');
    expect(kinds).toEqual(['fixed', 'fixed', 'fixed', 'fixed', 'naflex', 'fixed']);
  });
});

describe('cuts', () => {
  it('lie at multiples and at the end', () => {
    expect(cuts(0, 900, 300)).toEqual([300, 600, 900]);
    expect(cuts(0, 250, 100)).toEqual([100, 200, 250]);
    expect(cuts(7, 7, 100)).toEqual([]);
    expect(cuts(0, 250, 100, [130, 200])).toEqual([100, 130, 200, 250]);
  });

  it('are the same after a resume from any step', () => {
    for (let step = 0; step < 250; step++) {
      const rest = cuts(step, 250, 60);
      expect(rest).toEqual(cuts(0, 250, 60).filter((cut) => cut > step));
      expect(nextCut(step, 60, 250)).toBe(rest[0]);
    }
  });
});
