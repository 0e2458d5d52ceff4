import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Annotated } from '../../../src/annotation/annotate-examples.ts';
import { noCounts } from '../../../src/annotation/counts.ts';
import { writeRegions } from '../../../src/annotation/region-writer.ts';
import { BatchMaker } from '../../../src/data/batches/batch-maker.ts';
import { RegionReader } from '../../../src/data/example/region-reader.ts';
import type { Region } from '../../../src/data/example/regions.ts';
import { collectTokenIds } from '../../../src/data/example/token-ids.ts';
import { indexData } from '../../../src/data/index/index-data.ts';
import { joinRegions } from '../../../src/data/index/join-regions.ts';
import { mixedIndex } from '../../../src/data/index/mixed-index.ts';
import { openIndex } from '../../../src/data/index/open-index.ts';
import { regionKey } from '../../../src/data/index/region-file.ts';
import { ShardCache } from '../../../src/data/index/shard-cache.ts';
import type { DataIndex } from '../../../src/data/index/types.ts';
import type { BatchPlan } from '../../../src/recipe/batch-plan.ts';
import { sha256 } from '../../../src/runtime/hash.ts';
import { picture } from '../img2dataset.ts';
import { MemoryStore } from '../memory-store.ts';
import { tarOf } from '../tar-file.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'join-regions-'));
});
afterAll(() => rm(folder, { recursive: true }));

type Named = { readonly name: string; readonly regions: readonly Region[] };

/** Writes what a detector would have found, as `annotateShard` does. */
async function putRegions(store: MemoryStore, prefix: string, key: string, found: readonly Named[]): Promise<void> {
  const shard = (await store.head(key))!;
  async function* all(): AsyncGenerator<Annotated> {
    for (const { name, regions } of found) {
      const scored = regions.map((region) => ({ ...region, score: 0.5 }));
      yield { name, regions: scored, counts: noCounts.boxes, queries: { ngrams: 1, categories: 0 } };
    }
  }
  const { path } = await writeRegions(folder, { shard, annotation: 'a' }, all());
  await store.put(regionKey(prefix, key), await readFile(path));
}

const regionsOf = (i: number): Region[] =>
  i % 3 === 0 ? [] : [{ caption: `part ${i} of it`, box: [0.1, 0.2, 0.5 + i / 100, 0.9] }];

/** Twice the same pictures and captions: with regions in their own JSON, and with none. */
async function twoStores() {
  const store = new MemoryStore();
  for (const shard of [0, 1]) {
    const numbers = Array.from({ length: 12 }, (_, i) => shard * 12 + i);
    const members = (own: boolean) =>
      Promise.all(
        numbers.map(async (i) => {
          const meta = { captions: { en: [`number ${i}`] }, ...(own && { regions: regionsOf(i) }) };
          return [
            { name: `e${i}.jpg`, body: await picture(i) },
            { name: `e${i}.json`, body: JSON.stringify(meta) },
          ];
        }),
      );
    await store.put(`own/${shard}.tar`, tarOf((await members(true)).flat()));
    await store.put(`data/${shard}.tar`, tarOf((await members(false)).flat()));
    const found = numbers.map((i) => ({ name: `e${i}`, regions: regionsOf(i) })).reverse();
    await putRegions(store, 'found/here', `data/${shard}.tar`, found);
  }
  return store;
}

const plan: BatchPlan = {
  ...{ seed: 1, phase: 'pretrain', batch: 24, resolution: 16, textLength: 32, vocabulary: null },
  data: {
    train: 'data',
    captions: [{ language: 'en', weight: 1 }],
    labelShare: 1,
    augment: { scale: [1, 1], shift: 0 },
  },
  parts: { captionTargets: { parallel: 0.5, lossOn: 'both' } },
};

const maker = (store: MemoryStore, index: DataIndex, name: string) =>
  new BatchMaker(index, plan, new ShardCache(store, join(folder, name)));

describe('data with the regions of a detector', () => {
  it('make the batches that they make with the same regions in their own JSON, to the byte', async () => {
    const store = await twoStores();
    const own = await indexData(store, 'own');
    const joined = await joinRegions(store, await indexData(store, 'data'), 'found/here');
    // As the trainer has it: from a file.
    const opened = openIndex(JSON.parse(JSON.stringify(joined.document)), store);
    const [expected, without] = [
      await maker(store, own, 'own').make(0),
      await maker(store, await indexData(store, 'data'), 'data').make(0),
    ];
    for (const index of [joined, opened]) {
      const batch = await maker(store, index, 'data').make(0);
      expect(batch).toEqual(expected);
      expect(batch.parts.targets).not.toEqual(without.parts.targets);
    }
    const tokens = (index: DataIndex) => collectTokenIds(store, index, ['en'], { captioning: true });
    expect(await tokens(joined)).toEqual(await tokens(own));
    expect(joined.fingerprint).not.toBe((await indexData(store, 'data')).fingerprint);
    expect((await joinRegions(store, await indexData(store, 'data'), 'found/here')).fingerprint).toBe(
      joined.fingerprint,
    );
  });

  it('add to the regions that an example has itself', async () => {
    const store = new MemoryStore();
    const [mine, theirs] = [
      { caption: 'mine', box: [0, 0, 1, 1] as const },
      { caption: 'theirs', box: [0, 0, 0.5, 1] as const },
    ];
    const body = JSON.stringify({ captions: { en: ['x'] }, regions: [mine] });
    await store.put(
      'd/0.tar',
      tarOf([
        { name: 'a.jpg', body: await picture(1) },
        { name: 'a.json', body },
      ]),
    );
    await putRegions(store, 'r', 'd/0.tar', [{ name: 'a', regions: [theirs] }]);
    const index = await joinRegions(store, await indexData(store, 'd'), 'r');
    const reader = new RegionReader(index, (file, { offset, size }) => store.get(file.key, { offset, size }));
    expect(await reader.join(0, 'a', { regions: [mine] })).toEqual({ regions: [mine, theirs] });
    expect(await reader.join(0, 'b', { regions: [mine] })).toEqual({ regions: [mine] });
    expect(await reader.join(1, 'a', {})).toEqual({});
  });

  it('are those of one source of a mixture, though another has the same shards without them', async () => {
    const store = await twoStores();
    const bare = await indexData(store, 'data');
    const sources = [
      { name: 'bare', index: bare },
      { name: 'described', index: await joinRegions(store, bare, 'found/here') },
    ];
    const mixed = openIndex(JSON.parse(JSON.stringify(mixedIndex(sources).document)), store);
    const reader = new RegionReader(mixed, (file, { offset, size }) => store.get(file.key, { offset, size }));
    expect(await reader.join(0, 'e1', {})).toEqual({});
    expect(await reader.join(2, 'e1', {})).toEqual({ regions: regionsOf(1) });
    const mixture = sources.map(({ name }) => ({ name, train: 'data', weight: 1 }));
    const of = { ...plan, data: { ...plan.data, train: [], mixture } };
    const batchOf = (index: DataIndex) =>
      new BatchMaker(index, of, new ShardCache(store, join(folder, 'mixed'))).make(0);
    const [described, without] = [
      await batchOf(mixed),
      await batchOf(mixedIndex([sources[0]!, { name: 'described', index: bare }])),
    ];
    expect(described.images).toEqual(without.images);
    expect(described.parts.targets).not.toEqual(without.parts.targets);
  });

  it('are found by any name, among ten thousand in a shard', async () => {
    const store = new MemoryStore();
    const names = Array.from(
      { length: 10_000 },
      (_, i) => [`a/b ${i}`, `"${i}\\`, `größe-${i}`, `},"regions":${i}`][i % 4]!,
    );
    await store.put(
      'd/0.tar',
      tarOf([
        { name: 'a.jpg', body: await picture(1) },
        { name: 'a.json', body: '{"captions":{}}' },
      ]),
    );
    await putRegions(
      store,
      'r',
      'd/0.tar',
      names.map((name, i) => ({ name, regions: [{ caption: `${i}`, box: [0, 0, 1, 1] }] })),
    );
    let bytes = 0;
    const index = await joinRegions(store, await indexData(store, 'd'), 'r');
    const reader = new RegionReader(index, (file, { offset, size }) => {
      bytes += size;
      return store.get(file.key, { offset, size });
    });
    for (const [i, name] of names.entries())
      expect((await reader.join(0, name, {} as { regions?: readonly Region[] })).regions?.[0]?.caption).toBe(`${i}`);
    // The file once, to find the lines, and each line once.
    const [file] = index.regions!;
    expect(bytes).toBe(2 * (file!.bytes - file!.offset) - names.length);
  });

  it('are left out of an example whose line is wrong, with the reason', async () => {
    const store = await twoStores();
    const key = regionKey('found/here', 'data/0.tar');
    const text = (await store.get(key)).toString();
    const line = text.split('\n').find((one) => one.includes('"e1"'))!;
    const broken = text.replace(line, line.replace(/\[0.1,0.2,/, '[0.1,7.2,'));
    const body = broken.slice(broken.indexOf('\n') + 1);
    await store.put(key, broken.replace(/"sha256":"[0-9a-f]+"/, `"sha256":"${sha256(body)}"`));
    const index = await joinRegions(store, await indexData(store, 'data'), 'found/here');
    const { skipped } = await maker(store, index, 'wrong').make(0);
    expect(skipped).toEqual([
      {
        shard: 'data/0.tar',
        name: 'e1',
        reason: "the detector's regions.0.box is not [top, left, bottom, right] in shares of the image",
      },
    ]);
  });

  it('are refused where a shard has none, those of other bytes, or ones that were cut short', async () => {
    const store = await twoStores();
    const index = await indexData(store, 'data');
    const key = regionKey('found/here', 'data/1.tar');
    const regions = await store.get(key);
    await expect(joinRegions(store, index, 'elsewhere')).rejects.toThrow(
      'data.regions: of the 2 shards 2 have no regions below elsewhere/: data/0.tar needs elsewhere/data/0.regions.jsonl; npm run siglip2 -- data annotate makes regions, src/annotation/README.md says how',
    );
    await store.put(key, regions.subarray(0, -1));
    await expect(joinRegions(store, index, 'found/here')).rejects.toMatchObject({
      code: 'DataContract',
      message:
        's3://memory/found/here/data/1.regions.jsonl is no file of regions, or was cut short: delete it, and npm run siglip2 -- data annotate makes it anew',
    });
    await store.put(key, await store.get(regionKey('found/here', 'data/0.tar')));
    await expect(joinRegions(store, index, 'found/here')).rejects.toThrow(
      /has regions of other bytes than data\/1.tar has now/,
    );
  });
});
