import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BatchMaker } from '../../src/data/batches/batch-maker.ts';
import { keptBits } from '../../src/data/batches/kept-examples.ts';
import { readFilter } from '../../src/data/index/filter-document.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { joinFilter, keptOf } from '../../src/data/index/join-filter.ts';
import { mixedIndex } from '../../src/data/index/mixed-index.ts';
import { openIndex } from '../../src/data/index/open-index.ts';
import { ShardCache } from '../../src/data/index/shard-cache.ts';
import { encodeWeights, readWeightHeader } from '../../src/data/index/weight-file.ts';
import { formatFilter } from '../../src/filtering/report.ts';
import type { BatchPlan } from '../../src/recipe/batch-plan.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { scene } from '../packing/pictures.ts';
import { runFilter, weightsOf } from './run.ts';
import { shardOf } from './shard.ts';

const folder = mkdtempSync(join(tmpdir(), 'siglip2-filter-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files: Record<string, Buffer>;

beforeAll(async () => {
  const photos = await Promise.all([0, 1, 2, 3, 4].map((seed) => scene(seed, 320, 240)));
  const [a, b, c, d, e] = photos as [Buffer, Buffer, Buffer, Buffer, Buffer];
  const smaller = await sharp(b).resize(200, 150).webp({ quality: 80 }).toBuffer();
  const of = (image: Buffer | string, ...texts: string[]) => ({ image, texts });
  files = {
    // A copy of b comes before it in the order of the shards.
    'data/0.tar': shardOf([of(a, 'a'), of(smaller, 'b'), of('no picture', 'x'), of(a, 'a')]),
    'data/1.tar': shardOf([of(b, 'b'), of(c, 'c'), of(a, 'another')]),
    'data/2.tar': shardOf([of(d, 'd'), of(c, 'c'), of(e, 'e')]),
  };
});

function stored(): MemoryStore {
  const store = new MemoryStore();
  for (const [key, body] of Object.entries(files)) store.objects.set(key, body);
  return store;
}

const input = (changes: object = {}) => ({ name: 'clean', data: 'data', duplicates: {}, ...changes });

it('keeps the first of each picture in the order of the shards, over shards, and says what it left out', async () => {
  const store = stored();
  const report = await runFilter(store, input());
  expect(await weightsOf(store, 'clean')).toEqual({
    'data/0.tar': [1, 1, 1, 0],
    'data/1.tar': [0, 1, 0],
    'data/2.tar': [1, 0, 1],
  });
  expect(report).toMatchObject({
    ...{ name: 'clean', examples: 10, kept: 6, broken: 1, shards: 3 },
    masked: { 'duplicates: equal pixels': 3, 'duplicates: near': 1 },
  });
  expect(formatFilter(report)).toBe(
    `filter clean: 6 of 10 examples remain (60.0 %), in 3 shards
  left out: 3 (30.0 %), duplicates: equal pixels
  left out: 1 (10.0 %), duplicates: near
  1 can't be used: they are left to training, which skips and counts them
Put this into the data of the recipe:
  "filter": "clean"
`,
  );
  // Nothing of the data was copied or changed, and nothing of the work is left.
  for (const [key, body] of Object.entries(files)) expect(store.objects.get(key)).toBe(body);
  const own = [...store.objects].filter(([key]) => key.startsWith('filters/'));
  expect(own.map(([key]) => key.replace(/[0-9a-f]{16}/, 'HASH')).sort()).toEqual([
    'filters/clean.json',
    'filters/clean/HASH/00000000.weights',
    'filters/clean/HASH/00000001.weights',
    'filters/clean/HASH/00000002.weights',
    'filters/clean/HASH/filter.json',
    'filters/clean/plans/plan-HASH.json',
  ]);
});

it('keeps each pair of picture and texts where that is asked for, or near copies', async () => {
  const store = stored();
  await runFilter(store, input({ duplicates: { of: 'pair' } }));
  expect(await weightsOf(store, 'clean')).toEqual({
    'data/0.tar': [1, 1, 1, 0],
    'data/1.tar': [0, 1, 1],
    'data/2.tar': [1, 0, 1],
  });
  await runFilter(store, input({ duplicates: { bounds: 'exact' } }));
  expect((await weightsOf(store, 'clean'))['data/1.tar']).toEqual([1, 1, 0]);
});

it('comes to the same bytes from any write that its process died before, or from every other one that it died after', async () => {
  const small = await Promise.all([0, 1, 0].map((seed) => scene(seed)));
  const shard = (numbers: readonly number[]) => shardOf(numbers.map((i) => ({ image: small[i]!, texts: ['a'] })));
  const dies = async (at: number, after: boolean) => {
    const store = new MemoryStore();
    store.objects.set('data/0.tar', shard([0, 1]));
    store.objects.set('data/1.tar', shard([2]));
    let writes = 0;
    for (const name of ['put', 'delete'] as const) {
      const write = store[name].bind(store) as (...given: unknown[]) => Promise<never>;
      store[name] = async (...given: unknown[]) => {
        const counts = String(given[0]).startsWith('filters/') && ++writes === at;
        if (counts && !after) throw new Error('died');
        const answer = await write(...given);
        if (counts) throw new Error('died');
        return answer;
      };
    }
    if (at > 0) await expect(runFilter(store, input())).rejects.toThrow('died');
    await runFilter(store, input());
    const out = [...store.objects].filter(([key]) => key.startsWith('filters/')).sort(([a], [b]) => (a < b ? -1 : 1));
    return { writes, bytes: out.map(([key, body]) => `${key} ${body.toString('base64')}`).join('\n') };
  };
  const calm = await dies(0, false);
  expect(calm.writes).toBe(27);
  for (let at = 1; at <= calm.writes; at++) expect((await dies(at, at % 2 === 0)).bytes, `${at}`).toBe(calm.bytes);
});

const plan = (change: object = {}): BatchPlan => ({
  ...{ seed: 3, phase: 'x', batch: 12, resolution: 16, textLength: 8, vocabulary: null },
  data: {
    ...{ train: 'data', filter: 'clean', captions: [{ language: 'en', weight: 1 }], labelShare: 1 },
    ...{ augment: { scale: [1, 1], shift: 0 }, maxBroken: 0.5 },
  },
  ...change,
});

it('is made again where weights of it are gone or damaged, and leaves those that are whole as runs hold them', async () => {
  const store = stored();
  await runFilter(store, input());
  const whole = await readFilter(store, 'clean');
  const [first, second, third] = whole.shards.map(({ weights }) => weights.key) as [string, string, string];
  const bytes = [first, second, third].map((key) => store.objects.get(key));
  store.objects.delete(second);
  store.objects.set(third, Buffer.from('damaged'));
  const written: string[] = [];
  const put = store.put.bind(store);
  store.put = async (key, body, options) => {
    const done = await put(key, body, options);
    if (key.endsWith('.weights')) written.push(key);
    return done;
  };
  expect((await runFilter(store, input())).kept).toBe(whole.kept);
  expect([first, second, third].map((key) => store.objects.get(key))).toEqual(bytes);
  expect(written).toEqual([second, third]);
  expect(await readFilter(store, 'clean')).toEqual(whole);
});

it('is trained with: what it leaves out is never drawn and counted apart, and the broken one is skipped as before', async () => {
  const store = stored();
  await runFilter(store, input());
  const index = await joinFilter(store, await indexData(store, 'data'), 'clean');
  expect(keptOf(index)).toBe(6);
  const maker = new BatchMaker(index, plan({ candidates: 12 }), new ShardCache(store, folder));
  const drawn = new Map<string, number>();
  let [filtered, skipped] = [0, 0];
  for (let batch = 0; batch < 20; batch++) {
    const made = await maker.make(batch);
    filtered += made.filtered!;
    skipped += made.skipped.length;
    for (const { text } of made.described!) drawn.set(text, (drawn.get(text) ?? 0) + 1);
  }
  expect([...drawn.keys()].sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
  // Of 240 draws 4 of 10 fall on what is left out, and so do those that take their place: 160 in the mean.
  expect(filtered).toBeGreaterThan(120);
  expect(filtered).toBeLessThan(210);
  expect(skipped).toBeGreaterThan(20);
  // Without what was read before it is the same batch, as after a resume.
  const again = await new BatchMaker(index, plan({ candidates: 12 }), new ShardCache(store, folder)).make(19);
  expect(again).toEqual(await maker.make(19));
});

it('finds the one example that is left of 12,000, and says so where none is', async () => {
  const store = new MemoryStore();
  const photo = await scene(0, 64, 48);
  const shard = shardOf(
    Array.from({ length: 12_000 }, (_, i) => ({ image: i === 7000 ? photo : 'x', texts: [`${i}`] })),
  );
  store.objects.set('data/0.tar', shard);
  const all = await indexData(store, 'data');
  const leaving = async (one: number) => {
    const weights = new Float32Array(12_000);
    if (one >= 0) weights[one] = 1;
    const { key, bytes, etag } = all.shards[0]!;
    const header = { shard: { key, bytes, etag }, filter: 'f', masked: {}, broken: 0 };
    store.objects.set(`filters/${one}.weights`, encodeWeights(header, weights));
    const file = await readWeightHeader(store, (await store.head(`filters/${one}.weights`))!);
    return openIndex({ ...all.document, fingerprint: String(one), weights: [file] }, store);
  };
  const made = await new BatchMaker(await leaving(7000), plan({ candidates: 8 }), new ShardCache(store, folder)).make(
    0,
  );
  expect(made.described!.map(({ text }) => text)).toEqual(new Array(8).fill('7000'));
  expect(made.filtered).toBeGreaterThan(20_000);
  const none = new BatchMaker(await leaving(-1), plan({ candidates: 1 }), new ShardCache(store, folder));
  await expect(none.make(0)).rejects.toThrow(
    'of 1000000 examples drawn one after the other below data none is left by the filter; let it leave more',
  );
});

it('may be of one source of a mixture, and not of another that shares its place', async () => {
  const store = stored();
  await runFilter(store, input());
  const whole = await indexData(store, 'data');
  const sources = [
    { name: 'clean', index: await joinFilter(store, whole, 'clean') },
    { name: 'all', index: whole },
  ];
  const index = openIndex(mixedIndex(sources).document, store);
  expect(index.weights!.map((file) => file?.kept ?? null)).toEqual([3, 1, 2, null, null, null]);
  const { data } = plan();
  const mixture = ['clean', 'all'].map((name) => ({ name, train: 'data', weight: 1 }));
  const { filter: _, ...unfiltered } = data;
  const mixed = plan({ candidates: 12, data: { ...unfiltered, train: [], mixture } });
  const maker = new BatchMaker(index, mixed, new ShardCache(store, folder));
  const drawn = new Map<string, number>();
  for (let batch = 0; batch < 20; batch++)
    for (const { text, source } of (await maker.make(batch)).described!)
      drawn.set(`${source} ${text}`, (drawn.get(`${source} ${text}`) ?? 0) + 1);
  expect(drawn.get('clean another')).toBe(undefined);
  expect(drawn.get('all another')).toBeGreaterThan(3);
  const from = (name: string) => [...drawn].reduce((sum, [key, n]) => sum + (key.startsWith(`${name} `) ? n : 0), 0);
  // Passed over within its source: weights stay what they are, to one or two draws.
  expect(Math.abs(from('clean') - 120)).toBeLessThan(3);
  expect(from('clean') + from('all')).toBe(240);
});

it('draws once for ever which examples of a part weight are kept, the more the higher it is', () => {
  const weights = new Float32Array(100_000);
  for (const i of weights.keys()) weights[i] = (i % 5) / 4;
  const bits = keptBits(weights, 7, 'data/0.tar');
  const share = (residue: number) => {
    let kept = 0;
    for (let i = residue; i < weights.length; i += 5) kept += (bits[i >> 3]! >> (i & 7)) & 1;
    return kept / 20_000;
  };
  expect([share(0), share(4)]).toEqual([0, 1]);
  // Three standard deviations of a binomial of 20,000.
  for (const residue of [1, 2, 3]) expect(Math.abs(share(residue) - residue / 4)).toBeLessThan(0.0107);
  expect(keptBits(weights, 7, 'data/0.tar')).toEqual(bits);
  expect(keptBits(weights, 8, 'data/0.tar')).not.toEqual(bits);
  // An example whose weight was raised stays.
  const raised = keptBits(
    weights.map((weight) => Math.min(1, weight + 0.1)),
    7,
    'data/0.tar',
  );
  expect(bits.every((byte, i) => (byte & raised[i]!) === byte)).toBe(true);
});

it('is refused in one sentence where it is of other shards, other bytes or other members, or is not there', async () => {
  const store = stored();
  await runFilter(store, input({ data: ['data'] }));
  const join = async (place: string, name = 'clean', read?: 'txt') =>
    joinFilter(store, await indexData(store, place, read && { captions: read, language: 'en' }), name).then(
      () => null,
      (error: Error) => error.message,
    );
  store.objects.set('other/0.tar', files['data/0.tar']!);
  expect(await join('other')).toBe(
    'filter clean was made of other data: of the 3 shards that it has weights for none is other/0.tar; npm run siglip2 -- data filter makes it anew',
  );
  expect(await join('data', 'none')).toMatch(/^filter none: s3:\/\/memory\/filters\/none.json is missing; npm run/);
  const { filter } = await readFilter(store, 'clean');
  store.objects.set('data/1.tar', Buffer.concat([files['data/1.tar']!, Buffer.alloc(512)]));
  expect(await join('data')).toMatch(
    /^filter clean was made of other bytes than data\/1.tar has now \(ETag .*; npm run/,
  );
  // Made anew it is of those.
  await runFilter(store, input());
  expect(await join('data')).toBeNull();
  expect((await readFilter(store, 'clean')).filter).not.toBe(filter);
  store.objects.set('filters/clean.json', Buffer.from('{"version": 1}'));
  expect(await join('data')).toMatch(/is no document of that filter/);
});

it('says everything that is wrong with it at once', async () => {
  await expect(runFilter(new MemoryStore(), { name: 'a/b', data: 's3://x/y', duplicate: {} })).rejects.toThrow(
    'siglip2Filter can\'t begin: name is "a/b"; allowed: the name of a filter, of A-Z, a-z, 0-9, ., _ and -; data is "s3://x/y"; allowed: the part within the bucket, which SIGLIP2_BUCKET names: "y"; Unrecognized key: "duplicate"; allowed: name, data, read, model, resize, agreement, ',
  );
  await expect(runFilter(stored(), { name: 'a', data: 'data' })).rejects.toThrow(
    'it has no step, and would keep everything; allowed, one or more: agreement, ',
  );
  await expect(runFilter(stored(), { name: 'a', data: 'data', duplicates: { off: 1 } })).rejects.toThrow(
    `siglip2Filter can't begin: duplicates: Unrecognized key: "off"; allowed: of, bounds; see src/filtering/README.md`,
  );
});
