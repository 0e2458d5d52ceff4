import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { BatchMaker } from '../../../src/data/batches/batch-maker.ts';
import type { BatchPart } from '../../../src/data/batches/batch-part.ts';
import { entryOf, exampleAt } from '../../../src/data/batches/order.ts';
import { CorruptExample } from '../../../src/data/example/corrupt-example.ts';
import { loadTokenizer } from '../../../src/data/example/tokenizer.ts';
import { indexData } from '../../../src/data/index/index-data.ts';
import { ShardCache } from '../../../src/data/index/shard-cache.ts';
import type { DataIndex } from '../../../src/data/index/types.ts';
import type { BatchPlan } from '../../../src/recipe/batch-plan.ts';
import { randomStream } from '../../../src/runtime/random.ts';
import { MemoryStore } from '../memory-store.ts';
import { tarOf } from '../tar-file.ts';

/** Marks that show what a part was given; refuses pictures whose first byte is 8. */
const marks: BatchPart<{ readonly bias: number }> = {
  arrays: () => ({ mark: { dtype: 'float32', size: 2 }, ids: { dtype: 'int32', size: 3 } }),
  fill({ k, pixels, text, tokenizer }, { bias }, { seed, phase }, { mark, ids }) {
    mark!.set([pixels.data[0]! + bias, randomStream(seed, `mark/${phase}`, k).next()]);
    if (pixels.data[0] === 8) throw new CorruptExample('no marks on this one');
    ids!.set(tokenizer.ids(text, 3));
  },
};
const { parts } = vi.hoisted(() => ({ parts: {} as Record<string, unknown> }));
vi.mock('../../../src/data/batches/batch-parts.ts', () => ({ batchParts: parts }));
parts.marks = marks;

const plan: BatchPlan = {
  seed: 4,
  phase: 'distill',
  batch: 8,
  resolution: 2,
  textLength: 4,
  data: {
    train: 'd',
    captions: [{ language: 'en', weight: 1 }],
    labelShare: 1,
    augment: { scale: [1, 1], shift: 0 },
  },
  vocabulary: null,
};
const asked = { ...plan, parts: { marks: { bias: 0.5 } } } as BatchPlan;

const store = new MemoryStore();
let folder: string;
let index: DataIndex;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-parts-'));
  const members = await Promise.all(
    Array.from({ length: 10 }, async (_, i) => {
      const image = sharp({ create: { width: 3, height: 3, channels: 3, background: { r: i, g: 0, b: 0 } } });
      return [
        { name: `${i}.png`, body: await image.png().toBuffer() },
        { name: `${i}.json`, body: JSON.stringify({ captions: { en: [`number ${i}`] } }) },
      ];
    }),
  );
  await store.put('d/1.tar', tarOf(members.flat()));
  index = await indexData(store, 'd');
});
afterAll(() => rm(folder, { recursive: true }));

const maker = (of: BatchPlan) => new BatchMaker(index, of, new ShardCache(store, folder));

test('a plan that asks for no part has none, and a part changes nothing else of a batch', async () => {
  const [without, with_] = [await maker(plan).make(0), await maker(asked).make(0)];
  expect(without.parts).toEqual({});
  expect(Object.keys(with_.parts)).toEqual(['mark', 'ids']);
  const same = [0, 1, 2, 3, 4, 5, 6, 7].filter((i) => without.images[i * 12] !== 8);
  for (const i of same) {
    expect(with_.images.subarray(i * 12, (i + 1) * 12)).toEqual(without.images.subarray(i * 12, (i + 1) * 12));
    expect(with_.tokens.subarray(i * 4, (i + 1) * 4)).toEqual(without.tokens.subarray(i * 4, (i + 1) * 4));
  }
});

test('each example fills its own place, whatever the order of decoding; any batch can be made alone', async () => {
  const all = maker(asked);
  const batches = [await all.make(0), await all.make(1), await all.make(2)];
  expect((await maker(asked).make(2)).parts).toEqual(batches[2]!.parts);
  const tokenizer = loadTokenizer();
  for (const { index: batch, parts, images, skipped } of batches) {
    for (let i = 0; i < 8; i++) {
      const k = batch * 8 + i;
      const red = images[i * 12]!;
      const [mark, drawn] = parts.mark!.subarray(i * 2);
      expect(mark).toBe(red + 0.5);
      expect(drawn).toBe(Math.fround(randomStream(4, 'mark/distill', k).next()));
      expect([...parts.ids!.subarray(i * 3, (i + 1) * 3)]).toEqual(tokenizer.ids(`number ${red}`, 3));
      const { entry } = await entryOf(index, exampleAt(index, 4, 'distill', k));
      if (entry.name !== '8') expect(red).toBe(Number(entry.name));
    }
    for (const { reason } of skipped) expect(reason).toBe('no marks on this one');
  }
  // One of ten examples can't be used: in 24 places it was met, and replaced by another.
  expect(batches.flatMap(({ skipped }) => skipped).length).toBeGreaterThan(0);
});

test('a part reads ids as rows of the compacted table', async () => {
  const tokenizer = loadTokenizer();
  const used = Array.from({ length: 10 }, (_, i) => tokenizer.ids(`number ${i}`)).flat();
  const vocabulary = [...new Set([0, 1, 3, ...used])].sort((a, b) => a - b);
  const [full, compact] = [await maker(asked).make(1), await maker({ ...asked, vocabulary }).make(1)];
  expect(Int32Array.from(compact.parts.ids!, (row) => vocabulary[row]!)).toEqual(full.parts.ids);
});
