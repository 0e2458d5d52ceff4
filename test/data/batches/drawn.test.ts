import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { BatchMaker } from '../../../src/data/batches/batch-maker.ts';
import { ExampleOrder, entryOf } from '../../../src/data/batches/order.ts';
import { indexData } from '../../../src/data/index/index-data.ts';
import { ShardCache } from '../../../src/data/index/shard-cache.ts';
import type { BatchPlan } from '../../../src/recipe/batch-plan.ts';
import { drawnFigures } from '../../../src/train/drawn-figures.ts';
import { drawnNoisyEmoji } from '../../support/drawn-emoji.ts';
import { MemoryStore } from '../memory-store.ts';

it('a batch says how many of its examples come from each source, and have their text in each language', async () => {
  const store = new MemoryStore();
  const { noisy } = await drawnNoisyEmoji(store, { noise: 0.4, concepts: 24 });
  const index = await indexData(store, noisy.train);
  const folder = await mkdtemp(join(tmpdir(), 'siglip2-drawn-'));
  const captions = [
    { language: 'en', weight: 3 },
    { language: 'de', weight: 1 },
  ];
  const data = {
    train: noisy.train,
    captions,
    labelShare: 1,
    augment: { scale: [1, 1] as [number, number], shift: 0 },
  };
  const plan: BatchPlan = {
    ...{ seed: 3, phase: 'pretrain', batch: 128, resolution: 16, textLength: 8, vocabulary: null, data },
  };
  const batch = await new BatchMaker(index, plan, new ShardCache(store, folder)).make(1);
  await rm(folder, { recursive: true });
  // Names of members say what they are.
  const order = new ExampleOrder(index, plan.seed, plan.phase);
  const counts: Record<string, number> = {};
  for (let k = 128; k < 256; k++) {
    const [kind] = /noise-[a-z]+/.exec((await entryOf(index, order.at(k))).entry.name) ?? [];
    if (kind) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  expect(Object.keys(counts)).toHaveLength(3);
  expect(batch.drawn!.sources).toEqual(counts);
  const { en, de } = batch.drawn!.languages as { en: number; de: number };
  expect(en + de).toBe(128);
  // Four deviations of three in four.
  expect(Math.abs(en - 96)).toBeLessThan(4 * Math.sqrt(128 * 0.75 * 0.25));
  const figures = drawnFigures(batch, 128);
  expect(figures['language/de/drawn']).toBe(de / 128);
  expect(figures['source/noise-blank/drawn']).toBe(counts['noise-blank']! / 128);
  expect(drawnFigures({}, 128)).toEqual({});
});
