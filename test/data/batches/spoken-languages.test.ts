import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BatchMaker } from '../../../src/data/batches/batch-maker.ts';
import { type Draw, openDraws } from '../../../src/data/batches/draws.ts';
import { countSpoken } from '../../../src/data/example/spoken-lists.ts';
import { indexData } from '../../../src/data/index/index-data.ts';
import { mixedIndex } from '../../../src/data/index/mixed-index.ts';
import { openIndex } from '../../../src/data/index/open-index.ts';
import { ShardCache } from '../../../src/data/index/shard-cache.ts';
import type { DataIndex } from '../../../src/data/index/types.ts';
import type { BatchPlan } from '../../../src/recipe/batch-plan.ts';
import { picture } from '../img2dataset.ts';
import { MemoryStore } from '../memory-store.ts';
import { type RawMember, tarOf } from '../tar-file.ts';

const store = new MemoryStore();
let folder: string;
/** With who has which language, and as releases of before planned it. */
let counted: DataIndex;
let uncounted: DataIndex;

/** One in fifty is in Swahili, and one of the whole set is broken. */
const languageOf = (i: number) => ((i * 7919) % 50 === 3 ? 'sw' : i % 10 === 9 ? 'fr' : 'en');
const languages = [
  { language: 'sw', weight: 0.5 },
  { language: 'en', weight: 0.4 },
  { language: 'other', weight: 0.1 },
];
const data: BatchPlan['data'] = {
  ...{ train: [], captions: [{ language: 'en', weight: 1 }], labelShare: 1, augment: { scale: [1, 1], shift: 0 } },
  ...{ mixture: [{ name: 'web', train: 'd', languages }], shuffle: { examples: 200 } },
};
const plan: BatchPlan = {
  ...{ seed: 5, phase: 'x', batch: 50, resolution: 8, textLength: 8, vocabulary: null, data },
};
const broken = 53;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-spoken-'));
  const pictures = await Promise.all(Array.from({ length: 20 }, (_, i) => picture(i)));
  for (let shard = 0; shard < 3; shard++) {
    const members: RawMember[] = [];
    for (let i = 400 * shard; i < 400 * (shard + 1); i++)
      members.push(
        { name: `${i}.jpg`, body: pictures[i % 20]! },
        {
          name: `${i}.json`,
          body: i === broken ? '{' : JSON.stringify({ captions: { [languageOf(i)]: [`no ${i}`] } }),
        },
      );
    await store.put(`d/${shard}.tar`, tarOf(members));
  }
  const index = await indexData(store, 'd');
  const spoken = await countSpoken(
    store,
    index,
    languages.map(({ language }) => language),
  );
  uncounted = mixedIndex([{ name: 'web', index }]);
  // As the trainer has it: from a file.
  counted = openIndex(JSON.parse(JSON.stringify(mixedIndex([{ name: 'web', index, spoken }]).document)), store);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const drawsOf = (index: DataIndex) => openDraws(index, plan, new ShardCache(store, join(folder, 'shards')), null);
const numberOf = ({ entry }: Draw) => Number(entry.name);
const wantedOf = ({ data }: Draw) => data.captions[0]!.language;
const isOne = (number: number, language: string) =>
  languageOf(number) === language || (language === 'other' && languageOf(number) === 'fr');

it('a rare language goes through all of its examples before one comes again, and nothing is passed over', async () => {
  const all = Array.from({ length: 1200 }, (_, i) => i);
  const rare = all.filter((i) => languageOf(i) === 'sw');
  expect(rare).toHaveLength(24);
  expect(counted.sources![0]!.spoken!.languages).toEqual(['en', 'sw', 'other']);
  // The one that can't be read is drawn in each language, so that it is told.
  const sums = counted.sources![0]!.spoken!.counts.map((counts) => counts.reduce((sum, one) => sum + one, 0));
  const count = (language: string) => all.filter((i) => i === broken || isOne(i, language)).length;
  expect(sums).toEqual([count('en'), count('sw'), count('other')]);
  const [draws, seen, hits] = [drawsOf(counted), new Map<string, number[]>(), { sw: 0, en: 0, other: 0 }];
  for (let k = 0; k < 1000; k++) {
    const draw = await draws.draw(k, 0);
    const [number, language] = [numberOf(draw), wantedOf(draw)];
    expect(number === broken || isOne(number, language), `${number} in ${language}`).toBe(true);
    expect((await counted.entriesOf(draw.ref.shard)).at(draw.ref.example).name).toBe(String(number));
    hits[language as 'sw']++;
    seen.set(language, [...(seen.get(language) ?? []), number]);
  }
  expect(hits).toEqual({ sw: 500, en: 400, other: 100 });
  // 20 times through the 24 and the broken one, each time in another order.
  const epochs = Array.from({ length: 20 }, (_, i) => seen.get('sw')!.slice(i * 25, (i + 1) * 25));
  for (const epoch of epochs) expect([...epoch].sort((a, b) => a - b)).toEqual([...rare, broken].sort((a, b) => a - b));
  expect(new Set(epochs.map(String)).size).toBe(20);
  // Drawn by passing over, as before, a language stays with those of one block.
  const before = drawsOf(uncounted);
  const speaks = async (k: number) => {
    for (let attempt = 0; ; attempt++) {
      const draw = await before.draw(k, attempt);
      if (isOne(numberOf(draw), wantedOf(draw))) return draw;
    }
  };
  const first: number[] = [];
  for (let k = 0; first.length < 25; k++) {
    const draw = await speaks(k);
    if (wantedOf(draw) === 'sw') first.push(numberOf(draw));
  }
  expect(new Set(first).size).toBeLessThan(10);
});

it('batches of it are the same from anywhere, where lists were deleted too, and count what is broken once', async () => {
  const maker = () => new BatchMaker(counted, plan, new ShardCache(store, join(folder, 'shards')));
  const whole = maker();
  const batches = [];
  for (let k = 0; k < 6; k++) batches.push(await whole.make(k));
  for (const { filtered, drawn } of batches) expect([filtered, drawn!.languages.sw]).toEqual([0, expect.any(Number)]);
  const names = new Set(batches.flatMap(({ skipped }) => skipped.map(({ name }) => name)));
  expect([...names]).toEqual([String(broken)]);
  for (const key of [...store.objects.keys()]) if (key.endsWith('.languages')) await store.delete(key);
  const again = maker();
  await again.fetchAhead(4);
  expect(await again.make(4)).toEqual(batches[4]);
  expect(await again.make(5)).toEqual(batches[5]);
});
