import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readExamples } from '../../src/data/example/read-examples.ts';
import { loadTokenizer } from '../../src/data/example/tokenizer.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { parseTask } from '../../src/evaluate/tasks/task.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { tasks } from '../../src/recipe/tasks.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { tuningProgram } from './arguments.ts';
import { kinds, longerPlaceOf, makeLongerDataset } from './longer-data.ts';
import {
  longerTask,
  type Stretched,
  type StretchedRecipe,
  shortRecipe,
  stretchedRecipe,
  stretches,
  stretchFigures,
  stretchTable,
} from './stretches.ts';

const emoji: StretchedRecipe = JSON.parse(readFileSync('infra/recipes/emoji.json', 'utf8'));

describe('texts that are longer than before', () => {
  it('are all that a picture is called in any order, and those that are tested are one text', async () => {
    const store = new MemoryStore();
    const { examples } = await makeLongerDataset(store, { concepts: 32 });
    const found = async (set: 'old/train' | 'old/test') => {
      const all = [];
      for await (const { meta } of readExamples(store, await indexData(store, longerPlaceOf(set)))) all.push(meta);
      expect(all).toHaveLength(examples[set]);
      return all;
    };
    const [trained, tested] = [await found('old/train'), await found('old/test')];
    expect(examples).toEqual({ 'old/train': 120, 'old/test': 20 });
    const byConcept = new Map(trained.map(({ concept, captions }) => [concept, captions]));
    const tokenizer = loadTokenizer();
    const lengths: number[] = [];
    let labelFirst = 0;
    for (const { concept, captions } of tested) {
      const known = byConcept.get(concept)!;
      expect(captions[kinds.short]).toEqual(known[kinds.short]);
      // The list that training draws an order of has the same words as the one text.
      expect(captions[kinds.long]).toEqual([known[kinds.long]!.join(', ')]);
      expect(known[kinds.long]).toContain(known[kinds.short]![0]);
      labelFirst += known[kinds.long]![0] === known[kinds.short]![0] ? 1 : 0;
      lengths.push(tokenizer.ids(captions[kinds.long]![0]!).length);
    }
    // A model of 32 tokens that reads the label alone would find nothing in them.
    expect(labelFirst).toBeLessThan(4);
    expect(Math.min(...lengths)).toBeGreaterThan(32);
    expect(lengths.filter((length) => length > 64).length).toBeGreaterThan(tested.length / 2);
  });
});

describe('ways to stretch positions', () => {
  const how = { length: 128, steps: 150, seed: 2 };

  it('go on from one model, by what recipe new writes for long texts, at its rate', () => {
    const base = parseRecipe(shortRecipe(emoji, 500, 32));
    expect(base).toMatchObject({
      model: { text: { length: 32, vocabulary: 'compact' } },
      data: { train: longerPlaceOf('old/train'), labelShare: 0 },
      schedule: { total: { steps: 500 } },
    });
    expect(base.data.evaluation).toBeUndefined();
    expect(parseTask(longerTask).evaluators).toMatchObject({ zeroShot: {}, retrieval: {} });
    const { train, freeze } = tasks.long.phase;
    for (const one of stretches) {
      const recipe = parseRecipe(stretchedRecipe(emoji, one, how));
      expect(recipe).toMatchObject({
        seed: 2,
        precision: 'f32',
        data: { train: longerPlaceOf('old/train'), augment: { shift: 0.1 } },
        optimizer: { learningRate: tasks.long.learningRate, weightDecay: 0 },
        schedule: { total: { steps: 150 }, warmup: { percent: 10 } },
        phases: [{ from: { run: 'base', phase: 'pretrain' }, train, freeze }],
      });
      expect(recipe.phases[0]!.text).toEqual(one === 'none' ? undefined : { length: 128, positions: one });
    }
  });

  it('are looked at before any step by one that moves nothing that can be seen', () => {
    const { optimizer, schedule } = parseRecipe(stretchedRecipe(emoji, 'even', { ...how, steps: 0 }));
    expect(schedule).toMatchObject({ total: { steps: 1 } });
    // A step of Adam moves a number by the rate at most: of an f32 of a hundredth not the last bit.
    expect(Math.fround(0.01 + optimizer.learningRate)).toBe(Math.fround(0.01));
  });

  it('are asked for by two lengths, the second above the first', () => {
    const asked = (lengths: string) =>
      tuningProgram()
        .exitOverride()
        .configureOutput({ writeErr: () => {} })
        .parse(['--stretch', lengths], { from: 'user' })
        .opts().stretch;
    expect(asked('64,256')).toEqual([64, 256]);
    for (const wrong of ['64', '256,64', '64,64', '16,32,64', 'a,b'])
      expect(() => asked(wrong)).toThrow(/is no (two lengths, the second above the first|whole number)/);
  });

  it('stand in a table, before and after the same steps', () => {
    const outcome = (of: Omit<Stretched, 'figures'>, values: readonly number[]): Stretched => ({
      ...of,
      figures: Object.fromEntries(stretchFigures.map(([name], i) => [name, values[i]!])),
    });
    const all = [
      outcome({ how: null, seed: 0, steps: 0 }, [0.1, 0.2, 0.3, 0.4]),
      outcome({ how: 'even', seed: 1, steps: 150 }, [0.1, 0.2, 0.3, 0.4]),
      outcome({ how: 'even', seed: 2, steps: 150 }, [0.2, 0.2, 0.4, 0.45]),
    ];
    expect(stretchTable(all).split('\n').slice(2)).toEqual([
      '| before | 0 | 10.0 % | 20.0 % | 30.0 % | 40.0 % |',
      '| even | 150 | 15.0 % (10.0 to 20.0) | 20.0 % | 35.0 % (30.0 to 40.0) | 42.5 % (40.0 to 45.0) |',
    ]);
  });
});
