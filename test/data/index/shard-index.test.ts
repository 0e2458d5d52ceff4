import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keepIndex } from '../../../activities/keep-index.ts';
import { BatchMaker } from '../../../src/data/batches/batch-maker.ts';
import { indexData, type MappingSettings } from '../../../src/data/index/index-data.ts';
import { LatestEntries } from '../../../src/data/index/latest-entries.ts';
import { corruptIn, inlineShard, openIndex } from '../../../src/data/index/open-index.ts';
import { PackedEntries, packEntries } from '../../../src/data/index/packed-entries.ts';
import { ShardCache } from '../../../src/data/index/shard-cache.ts';
import type { DataIndex, InlineIndex, ListedIndex } from '../../../src/data/index/types.ts';
import type { BatchPlan } from '../../../src/recipe/batch-plan.ts';
import { RunnerError } from '../../../src/runtime/errors.ts';
import { canonicalJson, sha256 } from '../../../src/runtime/hash.ts';
import { MemoryStore } from '../memory-store.ts';
import { tarOf } from '../tar-file.ts';
import { oldData, oldIdentity, oldSha256 } from './old-data.ts';

/** A store that counts what is read of shards. */
class CountingStore extends MemoryStore {
  requests = 0;
  bytes = 0;

  override async get(key: string, options: Parameters<MemoryStore['get']>[1] = {}): Promise<Buffer> {
    const body = await super.get(key, options);
    if (key.endsWith('.tar')) {
      this.requests++;
      this.bytes += body.length;
    }
    return body;
  }
}

const examplesOf = (from: number, count: number, picture: number) =>
  Array.from({ length: count }, (_, i) => [
    { name: `${from + i}.jpg`, body: Buffer.alloc(picture + 7 * i, i) },
    { name: `${from + i}.json`, body: JSON.stringify({ caption: `the caption of ${from + i}`, width: 640 }) },
    { name: `${from + i}.txt`, body: `the caption of ${from + i}` },
  ]).flat();

async function storeOf(shards: Record<string, Buffer>): Promise<CountingStore> {
  const store = new CountingStore();
  for (const [key, body] of Object.entries(shards)) await store.put(key, body);
  return store;
}

const txt: MappingSettings = { captions: 'txt', language: 'en' };
const indexKeys = (store: MemoryStore) => [...store.objects.keys()].filter((key) => key.startsWith('indexes/')).sort();
const inlined = (index: DataIndex) => Promise.all(index.shards.map((_, shard) => inlineShard(index, shard)));

describe('the index of a shard', () => {
  it.each([
    // Of 60 pictures of 300 kB nothing is read but the headers, in one request each.
    [300_000, 60, 0.035, 65],
    [600_000, 30, 0.021, 35],
    // A picture that a round trip would cost more than is read along, in few requests.
    [40_000, 400, 1, 12],
  ])('is read off the headers: of pictures of %i bytes that is little', async (picture, count, share, requests) => {
    const body = tarOf(examplesOf(0, count, picture));
    const store = await storeOf({ 'd/0.tar': body });
    const index = await indexData(store, 'd', txt);
    expect(index.examples).toBe(count);
    expect(store.bytes).toBeLessThanOrEqual(share * body.length);
    expect(store.requests).toBeLessThanOrEqual(requests);
    // All of it was read: then it is known what it has to be.
    const whole = share < 1 ? undefined : createHash('sha256').update(body).digest('hex');
    expect(index.shards[0]!.sha256).toBe(whole);
    const { examples } = await inlineShard(index, 0);
    const { name, image, meta } = examples[count - 1]!;
    expect(name).toBe(String(count - 1));
    expect(body.subarray(meta.offset, meta.offset + meta.size).toString()).toBe(`the caption of ${count - 1}`);
    expect([image.size, body[image.offset]]).toEqual([picture + 7 * (count - 1), (count - 1) % 256]);
  });

  it('is made once: while key and ETag hold a run reads a header of it and nothing of the shard', async () => {
    const bodies = { 'd/0.tar': tarOf(examplesOf(0, 20, 900)), 'd/1.tar': tarOf(examplesOf(20, 20, 900)) };
    const store = await storeOf(bodies);
    const index = await indexData(store, 'd', txt);
    expect(indexKeys(store)).toHaveLength(2);
    for (const again of [txt, { ...txt, language: 'de' }]) {
      store.gets = store.requests = 0;
      const found = await indexData(store, 'd', again);
      expect([found.shards, store.gets, store.requests]).toEqual([index.shards, 2, 0]);
    }
    // Other members make other examples, and a shard of before is asked for no more once it has changed.
    expect((await indexData(store, 'd', { captions: 'json', language: 'en' })).examples).toBe(40);
    expect(indexKeys(store)).toHaveLength(4);
    await store.put('d/1.tar', tarOf(examplesOf(20, 21, 900)));
    const changed = await indexData(store, 'd', txt);
    expect([changed.examples, store.requests, indexKeys(store).length]).toEqual([41, 3, 5]);
    expect(changed.fingerprint).not.toBe(index.fingerprint);
    // What was indexed of it is kept for who still has it; made again it would be of other bytes.
    expect((await index.entriesOf(1)).length).toBe(20);
    for (const key of indexKeys(store)) await store.delete(key);
    await expect(openIndex(index.document, store).entriesOf(1)).rejects.toMatchObject({ code: 'DataContract' });
    expect((await openIndex(index.document, store).entriesOf(0)).length).toBe(20);
  });

  it('that was damaged or deleted is made again, and gives no other entry in between', async () => {
    const store = await storeOf({ 'd/0.tar': tarOf(examplesOf(0, 50, 900)) });
    const index = await indexData(store, 'd', txt);
    const wanted = await inlined(index);
    const [key] = indexKeys(store);
    const whole = Buffer.from(store.objects.get(key!)!);
    const damages: Record<string, Buffer | null> = {
      deleted: null,
      empty: Buffer.alloc(0),
      'of something else': Buffer.from('<html>'.repeat(100)),
      cut: whole.subarray(0, whole.length - 1),
      'cut in its header': whole.subarray(0, 40),
      longer: Buffer.concat([whole, Buffer.alloc(9)]),
    };
    for (const at of [0, 9, 13, 30, 200, whole.length - 40, whole.length - 1]) {
      const flipped = Buffer.from(whole);
      flipped[at]! ^= 0x10;
      damages[`flipped at ${at}`] = flipped;
    }
    for (const [what, body] of Object.entries(damages)) {
      if (body) store.objects.set(key!, body);
      else store.objects.delete(key!);
      expect(await inlined(openIndex(index.document, store)), what).toEqual(wanted);
      const again = await indexData(store, 'd', txt);
      expect([again.document, await inlined(again)], what).toEqual([index.document, wanted]);
    }
    // A header says what it says of this shard alone.
    await store.put('d/1.tar', tarOf(examplesOf(0, 50, 901)));
    await indexData(store, 'd', txt);
    const other = indexKeys(store).find((one) => one !== key)!;
    store.objects.set(key!, store.objects.get(other)!);
    expect(await inlined(openIndex(index.document, store))).toEqual(wanted);
  });

  it('is made for each who may not write it', async () => {
    const store = await storeOf({ 'd/0.tar': tarOf(examplesOf(0, 5, 900)) });
    store.put = async (key) => {
      throw new RunnerError('CredentialsRefused', `${key}: AccessDenied`);
    };
    const index = await indexData(store, 'd', txt);
    expect([index.examples, (await index.entriesOf(0)).at(4).name]).toEqual([5, '4']);
    expect(indexKeys(store)).toEqual([]);
  });

  it('says that a tar was cut short, also where the cut lies in a picture that is not read', async () => {
    const body = tarOf(examplesOf(0, 6, 300_000));
    const cuts = {
      'd/0.tar': body.subarray(0, 3 * 302_592 + 100_000),
      'd/1.tar': body.subarray(0, body.length - 1024),
      'd/2.tar': body,
    };
    const { shards, corrupt } = await indexData(await storeOf(cuts), 'd', txt);
    expect(shards.map(({ examples, corrupt }) => [examples, corrupt])).toEqual([
      [3, 1],
      [6, 1],
      [6, 0],
    ]);
    expect(corrupt.map(({ shard, reason }) => `${shard}: ${reason.split(/[:,]/)[0]}`)).toEqual([
      'd/0.tar: ends beyond the shard',
      'd/1.tar: the shard has no end mark',
    ]);
  });

  it('counts all that can not be used, and names the first thousand of a shard', async () => {
    const members = Array.from({ length: 1500 }, (_, i) => ({ name: `${i}.jpg`, body: 'x' }));
    const store = await storeOf({ 'd/0.tar': tarOf([...members, ...examplesOf(2000, 1, 10)]) });
    const index = await indexData(store, 'd', txt);
    expect([index.corrupt.length, corruptIn(index)]).toEqual([1000, 1500]);
    expect(index.corrupt[999]).toEqual({ shard: 'd/0.tar', name: '999', reason: 'no txt member' });
    expect((await indexData(store, 'd', txt)).document).toEqual(index.document);
  });
});

describe('entries in arrays', () => {
  it('are those that were put in: of any name, place and size', () => {
    const big = 5 * 1024 ** 4 + 3;
    const entry = (name: string, offset: number, size: number) => {
      const range = { offset, size };
      return { name, image: range, meta: { offset: offset + size, size: 1 }, class: { offset: 9, size: 0 } };
    };
    const entries = [entry('ünï/日本 🦊', 512, 3), entry('', 0, 0), entry('b'.repeat(512), big, 2 ** 32 - 1)];
    for (const own of [entries, entries.map(({ class: _, ...rest }) => rest)]) {
      const { bytes } = packEntries(own, { class: 'class' in own[0]!, pixels: [] });
      const packed = new PackedEntries(bytes, 3, { class: 'class' in own[0]!, pixels: [] });
      expect([0, 1, 2].map((i) => packed.at(i))).toEqual(own);
      expect(() => packed.at(3)).toThrow(RangeError);
    }
    const withClass = { class: true, pixels: [] };
    // What no one reads, since it is too large, is too large still.
    const huge = new PackedEntries(packEntries([entry('a', 0, 2 ** 40)], withClass).bytes, 1, withClass);
    expect(huge.at(0).image.size).toBe(2 ** 32 - 1);
  });

  it('stay in memory for the shards that were asked for last, and no more of them', async () => {
    const loaded: number[] = [];
    const load = async (shard: number) => {
      loaded.push(shard);
      if (shard === 99) throw new Error('away');
      return { length: 1, bytes: 10, at: () => ({ name: String(shard), image: range, meta: range }) };
    };
    const range = { offset: 0, size: 1 };
    const latest = new LatestEntries(load, 40);
    await Promise.all([latest.of(0), latest.of(0), latest.of(1), latest.of(2)]);
    await latest.of(3);
    await latest.of(0);
    await latest.of(4);
    expect(loaded).toEqual([0, 1, 2, 3, 4]);
    // 1 was asked for longest ago.
    expect((await latest.of(0)).at(0).name).toBe('0');
    await latest.of(1);
    expect(loaded).toEqual([0, 1, 2, 3, 4, 1]);
    await expect(latest.of(99)).rejects.toThrow('away');
    await expect(latest.of(99)).rejects.toThrow('away');
    expect(loaded.slice(-2)).toEqual([99, 99]);
    // Two of any size.
    const small = new LatestEntries(load, 1);
    loaded.length = 0;
    for (const shard of [5, 6, 5, 6, 5]) await small.of(shard);
    expect(loaded).toEqual([5, 6]);
  });
});

describe('an index of an earlier release', () => {
  let folder: string;
  let store: MemoryStore;
  let old: InlineIndex;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'siglip2-old-index-'));
    store = await oldData();
    old = JSON.parse(await readFile(new URL('./old-index.json', import.meta.url), 'utf8'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('says of each shard what the present one says of it', async () => {
    expect(sha256(canonicalJson(old))).toBe(oldSha256);
    const [before, now] = [openIndex(old, store), await indexData(store, 'd')];
    expect((now.document as ListedIndex).version).toBe(2);
    expect(before.shards).toEqual(
      now.shards.map(({ key, bytes, etag, sha256, examples, corrupt }) => {
        return { key, bytes, etag, sha256, examples, corrupt };
      }),
    );
    expect([before.fingerprint, before.corrupt, before.examples]).toEqual([now.fingerprint, now.corrupt, 20]);
    expect(await inlined(before)).toEqual(await inlined(now));
    expect(await inlined(before)).toEqual(old.shards);
  });

  it('names stored scores as that release did, and so does the present one', async () => {
    for (const index of [openIndex(old, store), await indexData(store, 'd')]) {
      expect(await keepIndex(store, 'r', index, { scored: true })).toMatchObject({ identity: oldIdentity });
      expect(await keepIndex(store, 'r', index, { scored: false })).not.toHaveProperty('identity');
    }
  });

  it('gives the batches that it gave that release, and so does the present one', async () => {
    const data = { train: 'd', captions: [{ language: 'en', weight: 1 }], labelShare: 0.5 };
    const plan: BatchPlan = {
      ...{ seed: 1, phase: 'pretrain', batch: 8, resolution: 16, textLength: 8, vocabulary: null },
      data: { ...data, augment: { scale: [0.8, 1.2], shift: 0.1 } },
    };
    for (const index of [openIndex(old, store), await indexData(store, 'd')]) {
      const maker = new BatchMaker(index, plan, new ShardCache(store, folder));
      const hash = createHash('sha256');
      for (let k = 0; k < 6; k++) {
        const { images, tokens, skipped } = await maker.make(k);
        hash.update(images).update(Buffer.from(tokens.buffer)).update(JSON.stringify(skipped));
      }
      // Of six batches by that release's BatchMaker.
      expect(hash.digest('hex')).toBe('ceb3fd56c99ca80e5e98fedfe0829eb67ae3188f2fe9b19ce7ef933108f43166');
    }
  });
});
