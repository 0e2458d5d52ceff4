import { describe, expect, it } from 'vitest';
import { filterRatioOf, naflexLengths, nextResolution } from '../../src/recipe/task-sizes.ts';
import { taskRecipe, tasks } from '../../src/recipe/tasks.ts';

describe('rates of tasks', () => {
  it('are what the schedule of the paper comes to where its branches begin', () => {
    // big_vision's cosine (utils.py), with 40 billion examples in batches of 32,768 and 20,000 steps of warm-up (2.1).
    const total = 40e9 / 32_768;
    const rateAt = (share: number) =>
      1e-3 * 0.5 * (1 + Math.cos((Math.PI * (share * total - 20_000)) / (total - 20_000)));
    expect(Number(rateAt(0.9).toPrecision(2))).toBe(tasks.naflex.learningRate);
    expect(Number(rateAt(0.95).toPrecision(2))).toBe(tasks.resolution.learningRate);
    // What these branches and the stage of curation were trained on, as the sources say it.
    expect([0.1 * 3.75 * 40, 0.05 * 40]).toEqual([15, 2]);
  });

  it('stand in recipes with a source of each', () => {
    const from = { run: 'base', phase: 'import' };
    for (const task of Object.keys(tasks) as (keyof typeof tasks)[]) {
      const { optimizer } = taskRecipe({ task, from, train: 'data' });
      expect(optimizer).toEqual({ learningRate: tasks[task].learningRate, weightDecay: 0 });
      expect(tasks[task].source).toMatch(/arXiv \d{4}\.\d{5}|model card|no run of ours/);
    }
  });
});

describe('lengths of NaFlex', () => {
  it.each([
    [16, 256, [128, 256, 576, 784, 1024]],
    [16, 224, [128, 256, 576, 784, 1024]],
    [14, 384, [128, 256, 576, 784, 1024]],
    // Its own 1,296 too.
    [14, 504, [128, 256, 576, 784, 1024, 1296]],
    [32, 256, [32, 64, 144, 196, 256]],
    [4, 32, [32, 64, 144, 196, 256]],
    [8, 32, [8, 16, 36, 49, 64]],
    // Seven to a side.
    [32, 224, [25, 49, 110, 150, 196]],
    [8, 8, [1, 2, 3, 4]],
  ])('of a patch of %i at a resolution of %i', (patch, resolution, lengths) => {
    expect(naflexLengths({ patch, resolution }).lengths).toEqual(lengths);
  });
});

describe('the next resolution', () => {
  it.each([
    [16, 224, 256],
    [16, 256, 384],
    [16, 384, 512],
    [16, 512, 768],
    [32, 256, 384],
    // 256, 384 and 512 are no multiples of 14.
    [14, 224, 336],
    [14, 384, 588],
    [4, 32, 48],
    [8, 24, 40],
  ])('of a patch of %i and %i pixels is %i', (patch, resolution, next) => {
    expect(nextResolution({ patch, resolution }).resolution).toBe(next);
  });
});

it('three quarters of a super-batch are left out for B/32 and half for B/16', () => {
  expect([32, 16, 14, 8].map((patch) => filterRatioOf({ patch }))).toEqual([0.75, 0.5, 0.5, 0.5]);
});
