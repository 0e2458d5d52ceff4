import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { type Outcome, table } from './outcome.ts';
import { type ComparedRecipe, recipeOf, shortened, type Variant, variantsOf } from './variants.ts';

const lists = {
  exchange: ['int8'],
  moments: ['averaged'],
  negatives: ['local'],
  replicas: [1, 4],
  roundSteps: [50],
  outer: ['0.7/0.9'],
};
const emoji: ComparedRecipe = JSON.parse(readFileSync('infra/recipes/emoji.json', 'utf8'));
const four: Variant = {
  replicas: 4,
  roundSteps: 50,
  exchange: 'int8',
  moments: 'averaged',
  negatives: 'local',
  outer: '0.7/0.9',
};

describe('rounds that are compared', () => {
  it('are all combinations, and the phase without rounds once', () => {
    expect(variantsOf({ ...lists, roundSteps: [50, 100], exchange: ['f32', 'int8'] })).toEqual([
      { ...four, replicas: 1, exchange: 'f32' },
      { ...four, exchange: 'f32' },
      four,
      { ...four, roundSteps: 100, exchange: 'f32' },
      { ...four, roundSteps: 100 },
    ]);
  });

  it.each(['each', 'shared'] as const)('train on as many examples, whoever has how much of the batch: %s', (batch) => {
    const examples = variantsOf({ ...lists, replicas: [1, 2, 8] }).map((of) => {
      const { schedule, phases } = recipeOf(emoji, of, batch);
      return schedule.total.steps * phases[0]!.batch;
    });
    expect(examples).toEqual([1600 * 256, 1600 * 256, 1600 * 256]);
    const looks = variantsOf({ ...lists, replicas: [1, 8] }).map((of) => recipeOf(emoji, of, batch).phases[1]);
    expect(looks).toEqual([looks[0], looks[0]]);
    expect(looks[0]).toMatchObject({ name: 'look', from: 'pretrain', batch: 256 });
    const { replicas, ...phase } = parseRecipe(recipeOf(emoji, four, batch)).phases[0]!;
    expect(replicas).toMatchObject({ number: 4, steps: 50, exchange: 'int8', outer: { rate: 0.7, momentum: 0.9 } });
    expect(phase.batch).toBe(batch === 'each' ? 256 : 64);
  });

  it('train on fewer steps where that is asked for, and do not warm up for all of them', () => {
    expect(shortened(emoji, 200).schedule).toMatchObject({ total: { steps: 200 }, warmup: { steps: 50 } });
    expect(shortened(emoji, 800).schedule).toMatchObject({ total: { steps: 800 }, warmup: { steps: 100 } });
  });

  it('say which batch can not be shared, before anything is trained', () => {
    const three = { ...four, replicas: 3 };
    expect(() => recipeOf(emoji, three, 'shared')).toThrow("a batch of 256 can't be shared among 3 replicas");
    expect(recipeOf(emoji, three, 'each').phases[0]!.batch).toBe(256);
  });

  it('stand in a table by their means, beside one replica', () => {
    const run = (of: Variant, seed: number, loss: number, top1: number): Outcome => ({
      ...{ ...of, seed, loss, top1, recall: top1 / 2, seconds: 60 },
    });
    const one = { ...four, replicas: 1 };
    const outcomes = [run(one, 1, 2, 0.1), run(four, 1, 2.2, 0.08), run(one, 2, 3, 0.2), run(four, 2, 2.8, 0.1)];
    expect(table(outcomes).split('\n').slice(2)).toEqual([
      '| 1 | | | | | | 2.500 | 1.000 | 15.0 % | 7.5 % | 2 |',
      '| 4 | 50 | int8 | averaged | local | 0.7/0.9 | 2.500 | 1.000 | 9.0 % | 4.5 % | 2 |',
    ]);
  });
});
