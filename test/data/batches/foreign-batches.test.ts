import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { BatchMaker } from '../../../src/data/batches/batch-maker.ts';
import { indexData } from '../../../src/data/index/index-data.ts';
import { ShardCache } from '../../../src/data/index/shard-cache.ts';
import type { BatchPlan } from '../../../src/recipe/batch-plan.ts';
import { foreign, readSchema } from '../../../src/recipe/reading.ts';
import { keyOf, picture } from '../img2dataset.ts';
import { MemoryStore } from '../memory-store.ts';
import { type RawMember, tarOf } from '../tar-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'siglip2-foreign-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const texts = (i: number) => [`tile ${i}`, `the tile of number ${i}`, `number ${i}, drawn as a tile`];

/** One shard of 20 pictures, each with a member that says what is to be seen; those of some are cut short. */
async function made(
  beside: (i: number) => [string, string],
  data: Partial<BatchPlan['data']>,
  { cut = [] as number[], ...changes }: Partial<BatchPlan> & { cut?: number[] } = {},
) {
  const members: RawMember[] = [];
  for (let i = 0; i < 20; i++) {
    const [extension, body] = beside(i);
    const jpeg = await picture(i);
    members.push(
      { name: `${keyOf(i)}.jpg`, body: cut.includes(i) ? jpeg.subarray(0, 120) : jpeg },
      { name: `${keyOf(i)}.${extension}`, body },
    );
  }
  const store = new MemoryStore();
  await store.put('d/0.tar', tarOf(members));
  const index = await indexData(store, 'd', foreign(data.read));
  const plan: BatchPlan = {
    ...{ seed: 3, phase: 'x', batch: 20, resolution: 16, textLength: 16, vocabulary: null },
    data: {
      ...{ train: 'd', captions: [{ language: 'en', weight: 1 }], labelShare: 1 },
      ...{ augment: { scale: [0.8, 1.2], shift: 0.1 }, ...data },
    },
    ...changes,
  };
  return new BatchMaker(index, plan, new ShardCache(store, folder));
}

const own = (i: number): [string, string] => ['json', JSON.stringify({ captions: { en: texts(i) } })];
const read = (of: object) => readSchema.parse(of);

it('batches of txt, lines and JSON of strangers are those of our own JSON with the same captions, to the byte', async () => {
  for (const naflex of [undefined, { lengths: [4, 9], halveFrom: 100, patch: 4 }]) {
    const changes = naflex ? { naflex: naflex as NonNullable<BatchPlan['naflex']> } : {};
    const wanted = await (await made(own, {}, changes)).make(1);
    const others = [
      await made((i) => ['txt', `${texts(i)[0]}\n`], { read: read({ captions: 'txt' }) }, changes),
      await made((i) => ['txt', texts(i).join('\n')], { read: read({ captions: 'lines', draw: 'first' }) }, changes),
      await made(
        (i) => ['json', JSON.stringify({ alt: texts(i)[0] })],
        { read: read({ captions: 'json', field: 'alt' }) },
        changes,
      ),
      await made(
        (i) => ['json', JSON.stringify({ captions: texts(i) })],
        { read: read({ captions: 'json', draw: 'joined' }) },
        changes,
      ),
    ];
    for (const other of others) {
      const batch = await other.make(1);
      expect(Buffer.compare(batch.images as Uint8Array, wanted.images as Uint8Array)).toBe(0);
      expect([...batch.tokens]).toEqual([...wanted.tokens]);
      expect(batch.parts).toEqual(wanted.parts);
    }
  }
});

it('of several captions each epoch draws one, and a loader that begins anew draws the same', async () => {
  const lines = () =>
    made((i) => ['txt', texts(i).join('\n')], { read: read({ captions: 'lines' }) }, { candidates: 20, batch: 10 });
  const maker = await lines();
  const drawn = new Map<string, Set<string>>();
  for (let epoch = 0; epoch < 12; epoch++)
    for (const { key, text } of (await maker.make(epoch)).described!) {
      expect(texts(Number(key))).toContain(text);
      drawn.set(key, (drawn.get(key) ?? new Set()).add(text));
    }
  // Missing one of three in twelve epochs has a chance of 2.3 % an example.
  expect([...drawn.values()].filter((seen) => seen.size === 3).length).toBeGreaterThan(15);
  expect((await (await lines()).make(7)).described).toEqual((await maker.make(7)).described);
});

it('a shard of which too many pictures are broken stops, in one sentence, where a recipe says or reads so', async () => {
  const txt = { read: read({ captions: 'txt' }) };
  const beside = (i: number): [string, string] => ['txt', `tile ${i}`];
  await expect((await made(beside, txt, { cut: [3, 7] })).make(0)).rejects.toMatchObject({
    code: 'DataContract',
    message: expect.stringMatching(
      /^data: 2 of the 20 examples of d\/0.tar can't be used, the last because: the JPEG image can't be decoded: .*, and data.maxBroken allows 5 %; npm run siglip2 -- data look d --all names them/,
    ),
  });
  const one = await made(beside, txt, { cut: [3] });
  for (let batch = 0; batch < 4; batch++)
    expect((await one.make(batch)).skipped.map(({ name }) => name)).toContain(keyOf(3));
  const more = await made(beside, { ...txt, maxBroken: 0.1 }, { cut: [3, 7] });
  expect(new Set((await more.make(0)).skipped.map(({ name }) => name))).toEqual(new Set([3, 7].map(keyOf)));
  // Recipes of before go on, and what has no text in a language of the recipe is whole.
  expect((await (await made(own, {}, { cut: [3, 7] })).make(0)).skipped.length).toBeGreaterThan(1);
  const german = (i: number): [string, string] => ['json', JSON.stringify({ text: { [i < 5 ? 'de' : 'en']: 'x' } })];
  const { skipped } = await (await made(german, { read: read({ captions: 'json' }) })).make(0);
  expect(new Set(skipped.map(({ reason }) => reason))).toEqual(new Set(['no caption in en']));
});
