import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readExamples } from '../../src/data/example/read-examples.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { parseTask } from '../../src/evaluate/tasks/task.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { taskRecipe, tasks } from '../../src/recipe/tasks.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { tuningProgram } from './arguments.ts';
import { makeTuningDataset, placeOf, sets } from './data.ts';
import { type FigureName, figureNames } from './figures.ts';
import { curveTable, type Outcome, sentences, table } from './outcome.ts';
import { stepSeconds, stepsWithin } from './pace.ts';
import { type BaseRecipe, baseRecipe, methods, tunedRecipe, variantsOf } from './variants.ts';

const emoji: BaseRecipe = JSON.parse(readFileSync('infra/recipes/emoji.json', 'utf8'));
const from = { run: 'base', phase: 'pretrain' };
const written = (method: keyof typeof methods) =>
  taskRecipe({ task: methods[method], from, train: placeOf('new/train'), batch: 64 });

describe('pictures to fine-tune on', () => {
  it('are of a style that the model never saw, and none that is tested is trained on', async () => {
    const store = new MemoryStore();
    const { examples } = await makeTuningDataset(store, { concepts: 32 });
    const found: Record<string, { key: string; concept: string; style: string }[]> = {};
    for (const set of sets) {
      found[set] = [];
      for await (const { meta } of readExamples(store, await indexData(store, placeOf(set))))
        found[set].push({ key: meta.key, concept: meta.concept, style: meta.style! });
      expect(found[set]).toHaveLength(examples[set]);
    }
    // 32 concepts in five styles, an eighth of them tested and an eighth for reference, and in the new one half and half.
    expect(examples).toEqual({
      'old/train': 120,
      'old/reference': 20,
      'old/test': 20,
      'new/train': 16,
      'new/test': 16,
    });
    const keys = sets.flatMap((set) => found[set]!.map(({ key }) => key));
    expect(new Set(keys).size).toBe(32 * 6);
    const [of, styles] = (['concept', 'style'] as const).map(
      (what) => (set: string) => new Set(found[set]!.map((one) => one[what])),
    );
    expect([...styles!('new/train'), ...styles!('new/test')]).toEqual(['fluent-emoji-flat', 'fluent-emoji-flat']);
    for (const set of ['old/train', 'old/reference', 'old/test']) expect(styles!(set).size).toBe(5);
    expect([...of!('new/test')].filter((concept) => of!('new/train').has(concept))).toEqual([]);
    // What is tested is known in other styles.
    for (const set of ['old/test', 'new/test'])
      expect([...of!(set)].filter((concept) => !of!('old/train').has(concept))).toEqual([]);
  });
});

describe('ways to fine-tune', () => {
  it('are those of recipe new at every rate, and the guard at the highest', () => {
    expect(variantsOf(Object.keys(methods), [1, 10])).toEqual([
      ...['full', 'lit', 'lora'].map((method) => ({ method, times: 1 })),
      ...['full', 'lit', 'lora', 'full-guard', 'lit-guard', 'lora-guard'].map((method) => ({ method, times: 10 })),
    ]);
  });

  it('go on from a model that never saw the style, by recipes that are right', () => {
    const base = parseRecipe(baseRecipe(emoji, 200));
    expect(base).toMatchObject({
      data: { train: placeOf('old/train'), labelShare: 0.5 },
      schedule: { total: { steps: 200 }, warmup: { steps: 50 } },
    });
    expect(base.data.evaluation).toBeUndefined();
    for (const variant of variantsOf(Object.keys(methods), [1, 10])) {
      const { method, times } = variant;
      const how = { steps: 50, seed: 3, fall: 0.02 };
      const recipe = parseRecipe(tunedRecipe(written(method), emoji, variant, how));
      expect(recipe).toMatchObject({
        seed: 3,
        precision: 'f32',
        data: { train: placeOf('new/train'), labelShare: 0.5, augment: { shift: 0.1 } },
        optimizer: { learningRate: tasks[methods[method]].learningRate * times, weightDecay: 0 },
        schedule: { total: { steps: 50 }, warmup: { percent: 10 } },
        phases: [{ from, batch: 64, ...tasks[methods[method]].phase }],
      });
      const { evaluate } = recipe;
      for (const task of evaluate.tasks!) expect(parseTask(task).evaluators).toMatchObject({ zeroShot: {} });
      expect(evaluate.guard).toEqual(
        method.endsWith('-guard')
          ? { ...evaluate.guard, task: 'reference', evaluator: 'zeroShot', fall: 0.02, action: 'end' }
          : undefined,
      );
    }
    const pace = tunedRecipe(written('lit'), emoji, { method: 'lit', times: 1 }, { steps: 20, seed: 0, fall: null });
    expect(parseRecipe(pace).evaluate.tasks).toBeUndefined();
  });

  it('say that a recipe has too many phases, before anything is trained', () => {
    const two = { ...emoji, phases: [...emoji.phases, { name: 'second', batch: 8 }] };
    expect(() => baseRecipe(two, 10)).toThrow('the recipe has 2 phases; one is gone on from');
  });

  it('have the same time by what a step of each took when least disturbed it', () => {
    const step = stepSeconds([
      { finetune: 0.5, lit: 0.2 },
      { finetune: 0.4, lit: 0.3 },
    ]);
    expect(step).toEqual({ finetune: 0.4, lit: 0.2 });
    expect([stepsWithin(60, step.finetune!), stepsWithin(60, step.lit!), stepsWithin(0.1, 5)]).toEqual([150, 300, 1]);
  });
});

describe('what came of them', () => {
  const each = <T>(values: readonly T[]) =>
    Object.fromEntries(figureNames.map((name, i) => [name, values[i]!])) as Record<FigureName, T>;
  const difference = (low: number, high: number) => ({ low, high, differs: low > 0 || high < 0 });
  const outcome = (of: Partial<Outcome> & { values: number[] }) =>
    ({
      seed: 1,
      rate: 1e-4,
      steps: 50,
      of: 50,
      seconds: 60,
      trained: 1_234_567,
      beside: {},
      figures: each(of.values),
      ...of,
    }) as unknown as Outcome;
  const gained = each([difference(0.01, 0.05), difference(-0.01, 0.02), difference(-0.2, -0.1), difference(-0.01, 0)]);
  const untouched = outcome({
    variant: null,
    seed: 0,
    steps: 0,
    of: 0,
    seconds: 0,
    trained: 0,
    values: [0.1, 0.2, 0.3, 0.4],
  });
  const full = outcome({
    variant: { method: 'full', times: 10 },
    beside: { untouched: gained },
    values: [0.13, 0.2, 0.15, 0.4],
  } as never);
  const worse = outcome({ variant: { method: 'lora', times: 1 }, values: [0.1, 0.2, 0.3, 0.4] });
  const lora = outcome({
    variant: { method: 'lora', times: 10 },
    steps: 20,
    beside: { untouched: gained, 'full x10': gained },
    values: [0.14, 0.2, 0.3, 0.4],
  } as never);

  it('stands in a table, with intervals beside the untouched model', () => {
    expect(table([untouched, full, lora]).split('\n').slice(2)).toEqual([
      '| untouched |  | 0 | 0 | 0 | 10.0 % | 20.0 % | 30.0 % | 40.0 % |',
      '| full | 1e-4 | 50 | 60 | 1,234,567 | 13.0 % (+1.0 to +5.0) | 20.0 % (-1.0 to +2.0) | 15.0 % (-20.0 to -10.0) | 40.0 % (-1.0 to +0.0) |',
      '| lora | 1e-4 | 20 of 50 | 60 | 1,234,567 | 14.0 % (+1.0 to +5.0) | 20.0 % (-1.0 to +2.0) | 30.0 % (-20.0 to -10.0) | 40.0 % (-1.0 to +0.0) |',
    ]);
  });

  it('stands by the share of the tuned model in its mean with the untouched one, from seed to seed', () => {
    const point = (seed: number, ratio: number, values: number[]) => ({
      ...{ variant: { method: 'full' as const, times: 10 }, seed, ratio },
      figures: each(values),
    });
    const points = [
      point(1, 0, [0.1, 0.2, 0.3, 0.4]),
      point(1, 0.5, [0.2, 0.2, 0.3, 0.4]),
      point(2, 0, [0.1, 0.2, 0.3, 0.4]),
      point(2, 0.5, [0.24, 0.2, 0.26, 0.4]),
    ];
    expect(curveTable(points).split('\n').slice(2)).toEqual([
      '| full x10 | 0 | 10.0 % | 20.0 % | 30.0 % | 40.0 % |',
      '| full x10 | 0.5 | 22.0 % (20.0 to 24.0) | 20.0 % | 28.0 % (26.0 to 30.0) | 40.0 % |',
    ]);
  });

  it('is asked for by shares of a model', () => {
    const asked = (ratios: string) =>
      tuningProgram()
        .exitOverride()
        .configureOutput({ writeErr: () => {} })
        .parse(['--ratios', ratios], { from: 'user' })
        .opts().ratios;
    expect(asked('0,0.25,1')).toEqual([0, 0.25, 1]);
    for (const wrong of ['1.5', '-0.1', '0,,1', 'half']) expect(() => asked(wrong)).toThrow('is no number from 0 to 1');
  });

  it('is said of each way at its best rate beside the others, and where a difference is none', () => {
    expect(sentences([untouched, full, worse, lora])).toEqual([
      'seed 1, lora x10 less full x10: new top-1 +1.0 to +5.0, new R@1 -1.0 to +2.0 (none), old top-1 -20.0 to -10.0, old R@1 -1.0 to +0.0 (none)',
    ]);
  });
});
