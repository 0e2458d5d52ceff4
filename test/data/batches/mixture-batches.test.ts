import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BatchMaker } from '../../../src/data/batches/batch-maker.ts';
import { openDraws } from '../../../src/data/batches/draws.ts';
import { PhaseOrder } from '../../../src/data/batches/phase-order.ts';
import type { Batch } from '../../../src/data/batches/types.ts';
import { indexData } from '../../../src/data/index/index-data.ts';
import { mixedIndex } from '../../../src/data/index/mixed-index.ts';
import { openIndex } from '../../../src/data/index/open-index.ts';
import type { ShardStore } from '../../../src/data/index/part-reader.ts';
import { ShardCache } from '../../../src/data/index/shard-cache.ts';
import type { DataIndex } from '../../../src/data/index/types.ts';
import type { BatchPlan } from '../../../src/recipe/batch-plan.ts';
import { foreign, readSchema } from '../../../src/recipe/reading.ts';
import { randomStream } from '../../../src/runtime/random.ts';
import type { S3ObjectStore } from '../../../src/storage/s3.ts';
import { startServer, type TestServer } from '../../storage/versitygw.ts';
import { picture } from '../img2dataset.ts';
import { type RawMember, tarOf } from '../tar-file.ts';
import { taken } from './whole.ts';

let server: TestServer;
let store: S3ObjectStore;
let scratch: string;
let env: NodeJS.ProcessEnv;
let index: DataIndex;

const txt = readSchema.parse({ captions: 'txt' });
const weights = { web: 70, alt: 25, small: 5 };
const data: BatchPlan['data'] = {
  train: [],
  captions: [{ language: 'en', weight: 1 }],
  labelShare: 1,
  augment: { scale: [1, 1], shift: 0 },
  mixture: [
    {
      name: 'web',
      train: 'd/web',
      weight: weights.web,
      languages: [
        { language: 'en', weight: 0.9 },
        { language: 'other', weight: 0.1 },
      ],
    },
    { name: 'alt', train: 'd/alt', weight: weights.alt, read: txt },
    { name: 'small', train: 'd/small', weight: weights.small },
  ],
};
const plan: BatchPlan = {
  ...{ seed: 5, phase: 'x', batch: 500, resolution: 8, textLength: 8, vocabulary: null, data },
};

/** In `web` each third example is German and none has both languages, `small` has a few examples in French alone. */
const captions = {
  web: (i: number) => JSON.stringify({ captions: i % 3 === 0 ? { de: [`Bild ${i}`] } : { en: [`web ${i}`] } }),
  alt: (i: number) => `alt ${i}`,
  small: (i: number) => JSON.stringify({ captions: i % 10 === 0 ? { fr: [`image ${i}`] } : { en: [`small ${i}`] } }),
} as const;

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  scratch = await mkdtemp(join(tmpdir(), 'siglip2-mixture-'));
  env = { ...process.env, ...server.environment, SIGLIP2_SCRATCH: scratch };
  const pictures = await Promise.all(Array.from({ length: 50 }, (_, i) => picture(i)));
  for (const [name, counts] of Object.entries({ web: [400, 300, 200], alt: [250, 150], small: [60] })) {
    let i = 0;
    for (const [shard, count] of counts.entries()) {
      const members: RawMember[] = [];
      for (const end = i + count; i < end; i++)
        members.push(
          { name: `${i}.jpg`, body: pictures[i % 50]! },
          { name: `${i}.${name === 'alt' ? 'txt' : 'json'}`, body: captions[name as 'web'](i) },
        );
      await store.put(`d/${name}/${shard}.tar`, tarOf(members));
    }
  }
  const sources = data.mixture!.map(async ({ name, train, read }) => {
    return { name, index: await indexData(store, train, foreign(read)) };
  });
  index = mixedIndex(await Promise.all(sources));
});
afterAll(async () => {
  await server.stop();
  await rm(scratch, { recursive: true, force: true });
});

const take = (count: number, firstBatch: number) =>
  taken(count, { index: index.document, plan, firstBatch, prefetch: 1, env });

function digest({ images, tokens, skipped, filtered, epochs, drawn }: Batch): string {
  const hash = createHash('sha256').update(images).update(Buffer.from(tokens.buffer));
  return JSON.stringify([hash.digest('hex'), skipped, filtered, epochs, drawn]);
}

const maker = (of: DataIndex) => new BatchMaker(of, plan, new ShardCache(store, join(scratch, 'shards')));

test('three sources are drawn by their weights, in their own ways and languages, and over kills to the byte', async () => {
  const all: Batch[] = [];
  const reader = maker(index);
  for (let k = 0; k < 8; k++) all.push(await reader.make(k));
  const sum = (of: (batch: Batch) => number) => all.reduce((total, batch) => total + of(batch), 0);
  // Of 4,000 draws.
  for (const [name, weight] of Object.entries(weights))
    expect(Math.abs(sum(({ drawn }) => drawn!.sources[name]!) - 40 * weight)).toBeLessThanOrEqual(3);
  // Of those of `web` a tenth is in another language than English, though a third of it is; `small` has English alone.
  expect(Math.abs(sum(({ drawn }) => drawn!.languages.de!) - 280)).toBeLessThanOrEqual(3);
  expect(sum(({ drawn }) => drawn!.languages.en!) + sum(({ drawn }) => drawn!.languages.de!)).toBe(4000);
  expect(all.flatMap(({ skipped }) => skipped)).toEqual([]);
  // English among two thirds takes half a draw more each, German among a third two, and what is left of `small` a ninth.
  expect(Math.abs(sum(({ filtered }) => filtered!) / (2520 / 2 + 280 * 2 + 200 / 9) - 1)).toBeLessThan(0.1);
  const { epochs } = all.at(-1)!;
  expect(epochs!.alt).toBeCloseTo(1000 / 400, 1);
  expect(epochs!.web).toBeCloseTo(2800 / 900, 1);
  const again = [...(await take(2, 0)), ...(await take(2, 2))];
  expect(again.map(digest)).toEqual(all.slice(0, 4).map(digest));
});

test('over 100,000 draws a source is drawn to within a percent of its weight, and equally after 10 kills', () => {
  const sources = index.sources!.map(({ first, shards }) => ({
    first,
    shards: index.shards.slice(first, first + shards),
  }));
  const open = () => new PhaseOrder(sources, data, 5, 'x');
  const [whole, counts, hashes] = [open(), new Map<string, number>(), [createHash('sha256'), createHash('sha256')]];
  let killed = open();
  for (let k = 0; k < 100_000; k++) {
    if (k % 9091 === 9090) killed = open();
    for (const [i, order] of [whole, killed].entries()) {
      const { shard, example, stream } = order.at(k);
      hashes[i]!.update(`${shard}/${example} `);
      if (i === 0) counts.set(stream.name!, (counts.get(stream.name!) ?? 0) + 1);
    }
  }
  expect(Object.fromEntries(counts)).toEqual({ web: 70_000, alt: 25_000, small: 5000 });
  expect(hashes[1]!.digest('hex')).toBe(hashes[0]!.digest('hex'));
});

test('an example that is broken gives its place to one of its block and source, and is counted apart from the filtered', async () => {
  const [key] = index.shards.map(({ key }) => key).filter((key) => key.includes('/alt/'));
  const body = await store.get(key!);
  const sources = await Promise.all(
    data.mixture!.map(async ({ name, train, read }) => {
      const place = name === 'alt' ? 'd/worn' : train;
      if (name === 'alt') {
        const inOrder = await indexData(store, train, foreign(read));
        const entries = await inOrder.entriesOf(0);
        for (const i of [3, 77]) body.fill(0x55, entries.at(i).image.offset + 40, entries.at(i).image.offset + 200);
        await store.put('d/worn/0.tar', body);
        await store.copy('d/alt/1.tar', 'd/worn/1.tar');
      }
      return { name, index: await indexData(store, place, foreign(read)) };
    }),
  );
  const worn = mixedIndex(sources);
  const [before, after] = [maker(index), maker(openIndex(JSON.parse(JSON.stringify(worn.document)), store))];
  const named = new Set<string>();
  for (let k = 0; k < 8; k++) {
    const [a, b] = [await before.make(k), await after.make(k)];
    for (const { name } of b.skipped) named.add(name);
    expect(b.drawn!.sources).toEqual(a.drawn!.sources);
    expect(b.filtered).toBe(a.filtered);
    const rowOf = ({ tokens }: Batch, i: number) => tokens.subarray(i * 8, i * 8 + 8).join();
    const changed = Array.from({ length: 500 }, (_, i) => i).filter((i) => rowOf(a, i) !== rowOf(b, i)).length;
    expect(changed).toBe(b.skipped.length);
  }
  expect([...named].sort()).toEqual(['3', '77']);
});

test('an epoch of large shards reads at most 1.1 times their bytes, within the bound of the disk cache', async () => {
  const random = randomStream(0, 'bytes');
  const noise = Buffer.from(Uint8Array.from({ length: 200_000 }, () => random.below(256)));
  for (let shard = 0; shard < 4; shard++) {
    const members = Array.from({ length: 200 }, (_, i): RawMember[] => [
      { name: `${i}.jpg`, body: noise.subarray(i * 100, i * 100 + 30_000 + random.below(20_000)) },
      { name: `${i}.txt`, body: `noise ${i}` },
    ]);
    await store.put(`d/large/${shard}.tar`, tarOf(members.flat()));
  }
  const large = await indexData(store, 'd/large', foreign(txt));
  let bytes = 0;
  const counting: ShardStore = {
    bucket: store.bucket,
    async get(key, options) {
      const body = await store.get(key, options);
      bytes += body.length;
      return body;
    },
  };
  const total = large.shards.reduce((sum, shard) => sum + shard.bytes, 0);
  const folder = join(scratch, 'bounded');
  const limit = 0.6 * total;
  const cache = new ShardCache(counting, folder, limit);
  const { mixture: _, ...plain } = data;
  const shuffled = { ...plan, data: { ...plain, train: 'd/large', read: txt, shuffle: { examples: 200 } } };
  const draws = openDraws(large, shuffled, cache, null);
  let most = 0;
  // The last block brings what comes after the epoch.
  for (let k = 0; k < 600; k++) {
    if (k % 50 === 0) await draws.fetchAhead(k);
    const { shard, entry } = await draws.draw(k, 0);
    expect((await cache.read(shard, entry.image)).length).toBe(entry.image.size);
    if (k % 100 !== 0) continue;
    const files = await readdir(folder);
    const sizes = await Promise.all(files.map(async (name) => (await stat(join(folder, name))).size));
    most = Math.max(
      most,
      sizes.reduce((sum, size) => sum + size, 0),
    );
  }
  expect(bytes / total).toBeGreaterThan(0.95);
  expect(bytes / total).toBeLessThan(1.1);
  expect(most).toBeLessThanOrEqual(limit * 1.05);
  cache.close();
});
