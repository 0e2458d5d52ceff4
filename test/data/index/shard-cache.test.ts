import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ShardStore } from '../../../src/data/index/part-reader.ts';
import { ShardCache } from '../../../src/data/index/shard-cache.ts';
import { MemoryStore } from '../memory-store.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-shards-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function put(store: MemoryStore, key: string, bytes: number) {
  const body = randomBytes(bytes);
  const { etag } = await store.put(key, body);
  return { shard: { key, bytes, etag }, body };
}
const files = async () => (await readdir(folder)).sort();

test('a shard of several parts is fetched once and read from disk after', async () => {
  const store = new MemoryStore();
  const { shard, body } = await put(store, 'd/1.tar', 20 * 1024 * 1024 + 5);
  const cache = new ShardCache(store, folder);
  const range = { offset: 8 * 1024 * 1024 - 3, size: 1000 };
  expect((await cache.read(shard, range)).equals(body.subarray(range.offset, range.offset + 1000))).toBe(true);
  await Promise.all(Array.from({ length: 20 }, (_, i) => cache.read(shard, { offset: i * 1_000_000, size: 10 })));
  expect(store.gets).toBe(3);
  const name = (await files())[0]!;
  expect((await stat(join(folder, name))).size).toBe(shard.bytes);
  cache.close();
  expect((await new ShardCache(store, folder).read(shard, { offset: 7, size: 3 })).equals(body.subarray(7, 10))).toBe(
    true,
  );
  expect(store.gets).toBe(3);
});

test('four caches that fetch into one folder at once leave whole shards and nothing else', async () => {
  const store = new MemoryStore();
  const shards = await Promise.all([1, 2, 3].map((i) => put(store, `d/${i}.tar`, 9 * 1024 * 1024 + i)));
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      const cache = new ShardCache(store, folder);
      for (const { shard, body } of shards) {
        const whole = await cache.read(shard, { offset: 0, size: shard.bytes });
        expect(createHash('md5').update(whole).digest('hex')).toBe(createHash('md5').update(body).digest('hex'));
      }
      cache.close();
    }),
  );
  const tars = (await files()).filter((name) => name.endsWith('.tar'));
  expect(tars).toHaveLength(3);
  expect(await files()).toEqual(tars.flatMap((name) => [name, `${name}.sha256`]));
  for (const name of tars) expect(name).toMatch(/^[0-9a-f]{40}\.tar$/);
});

test('a file of the wrong size is fetched again; another version of a key is another file', async () => {
  const store = new MemoryStore();
  const { shard, body } = await put(store, 'd/1.tar', 1000);
  await new ShardCache(store, folder).ensure(shard);
  await truncate(join(folder, (await files())[0]!), 500);
  const cache = new ShardCache(store, folder);
  expect((await cache.read(shard, { offset: 900, size: 100 })).equals(body.subarray(900))).toBe(true);
  const changed = await put(store, 'd/1.tar', 1000);
  const other = await cache.read(changed.shard, { offset: 0, size: 1000 });
  expect(other.equals(changed.body)).toBe(true);
  expect((await files()).filter((name) => name.endsWith('.tar'))).toHaveLength(2);
});

test('of a known sha256 a local file that rots is fetched again, and damage in the store is told', async () => {
  const store = new MemoryStore();
  const { shard, body } = await put(store, 'd/1.safetensors', 9 * 1024 * 1024);
  const known = { ...shard, sha256: createHash('sha256').update(body).digest('hex') };
  const range = { offset: 8 * 1024 * 1024 - 10, size: 20 };
  const wanted = body.subarray(range.offset, range.offset + 20);
  expect((await new ShardCache(store, folder).read(known, range)).equals(wanted)).toBe(true);
  const gets = store.gets;
  const path = join(folder, (await files())[0]!);
  expect((await new ShardCache(store, folder).read(known, range)).equals(wanted)).toBe(true);
  expect(store.gets).toBe(gets);
  await writeFile(path, Buffer.alloc(shard.bytes, 0x55));
  expect((await new ShardCache(store, folder).read(known, range)).equals(wanted)).toBe(true);
  expect(store.gets).toBe(2 * gets);
  const other = { ...known, sha256: '0'.repeat(64) };
  await expect(new ShardCache(store, folder).read(other, range)).rejects.toMatchObject({
    code: 'DataContract',
    message: expect.stringContaining('d/1.safetensors is damaged: it has the sha256 ') as string,
  });
});

test('of no known sha256 a local file is what came in, or it is fetched again', async () => {
  const store = new MemoryStore();
  const { shard, body } = await put(store, 'd/1.tar', 1000);
  const read = async () => (await new ShardCache(store, folder).read(shard, { offset: 0, size: 1000 })).equals(body);
  expect(await read()).toBe(true);
  expect(await read()).toBe(true);
  expect(store.gets).toBe(1);
  const [file, record] = (await files()).map((name) => join(folder, name)) as [string, string];
  await writeFile(file, Buffer.from(body).fill(body[500]! ^ 1, 500, 501));
  expect(await read()).toBe(true);
  expect(store.gets).toBe(2);
  // As an older version left it.
  await rm(record);
  expect(await read()).toBe(true);
  expect(await read()).toBe(true);
  expect(store.gets).toBe(3);
});

test('what a link has changed comes again, and is not used in between', async () => {
  const store = new MemoryStore();
  const { shard, body } = await put(store, 'd/1.tar', 20 * 1024 * 1024);
  const known = { ...shard, sha256: createHash('sha256').update(body).digest('hex') };
  let flips = 2;
  const link: ShardStore = {
    bucket: store.bucket,
    async get(key, options) {
      const part = Buffer.from(await store.get(key, options));
      if (options!.offset !== 0 && flips-- > 0) part[7]! ^= 1;
      return part;
    },
  };
  const read = new ShardCache(link, folder).read(known, { offset: 0, size: shard.bytes });
  expect((await read).equals(body)).toBe(true);
  expect(flips).toBeLessThan(0);
  expect(await files()).toHaveLength(1);
});

test('a shard that changed or went away since it was indexed is a DataContract error that names it', async () => {
  const store = new MemoryStore();
  const { shard } = await put(store, 'd/1.tar', 1000);
  await put(store, 'd/1.tar', 1000);
  const cache = new ShardCache(store, folder);
  await expect(cache.ensure(shard)).rejects.toMatchObject({
    code: 'DataContract',
    message: expect.stringContaining('d/1.tar') as string,
  });
  await store.delete('d/1.tar');
  await expect(cache.ensure(shard)).rejects.toMatchObject({
    code: 'DataContract',
    message: expect.stringContaining('d/1.tar is gone') as string,
  });
  expect(await files()).toEqual([]);
});

test('above its limit the cache drops the shards that were used longest ago, and old leftovers', async () => {
  const store = new MemoryStore();
  const shards = await Promise.all([1, 2, 3, 4].map((i) => put(store, `d/${i}.tar`, 1000)));
  await writeFile(join(folder, 'x.tar.1.part'), 'left by a killed process');
  await utimes(join(folder, 'x.tar.1.part'), 0, 0);
  await writeFile(join(folder, 'y.tar.2.part'), 'of another process, now');
  const cache = new ShardCache(store, folder, 2500);
  for (const { shard } of shards.slice(0, 2)) await cache.ensure(shard);
  for (const [i, name] of (await files()).filter((name) => name.endsWith('.tar')).entries())
    await utimes(join(folder, name), i, i);
  await cache.ensure(shards[0]!.shard); // used now: not the oldest any more
  await cache.ensure(shards[2]!.shard);
  expect((await files()).filter((name) => name.endsWith('.tar'))).toHaveLength(2);
  expect((await files()).filter((name) => name.endsWith('.part'))).toEqual(['y.tar.2.part']);
  const before = store.gets;
  await cache.read(shards[0]!.shard, { offset: 0, size: 1 });
  expect(store.gets).toBe(before);
  expect((await cache.read(shards[1]!.shard, { offset: 0, size: 9 })).equals(shards[1]!.body.subarray(0, 9))).toBe(
    true,
  );
  expect(store.gets).toBe(before + 1);
});

test('a folder that can not be written ends in one sentence that says what to set', async () => {
  const store = new MemoryStore();
  const { shard } = await put(store, 'd/1.tar', 1000);
  const file = join(folder, 'a-file');
  await writeFile(file, '');
  await expect(new ShardCache(store, join(file, 'shards')).ensure(shard)).rejects.toMatchObject({
    code: 'SetupMissing',
    message: expect.stringMatching(/can't be written \(ENOTDIR\): set SIGLIP2_SCRATCH/) as string,
  });
});

test('of parts of a shard only their bytes come to disk, once for all processes, and damage there is noticed', async () => {
  const store = new MemoryStore();
  const { shard, body } = await put(store, 'd/1.tar', 100_000);
  const parts = [
    { offset: 1000, size: 500 },
    { offset: 90_000, size: 10_000 },
  ];
  const range = { ...shard, sha256: 'that of all bytes', parts };
  const caches = Array.from({ length: 4 }, () => new ShardCache(store, folder));
  const place = { offset: 95_000, size: 77 };
  for (const read of await Promise.all(caches.map((cache) => cache.read(range, place))))
    expect(read.equals(body.subarray(95_000, 95_077))).toBe(true);
  expect(store.gets).toBe(2);
  const [file] = (await files()).filter((name) => name.endsWith('.range'));
  expect([await files(), (await stat(join(folder, file!))).size]).toEqual([[file, `${file}.sha256`], 10_500]);
  expect((await caches[0]!.read(range, { offset: 1499, size: 1 }))[0]).toBe(body[1499]);
  await expect(caches[0]!.read(range, { offset: 1499, size: 2 })).rejects.toThrow('in no part of it that is wanted');
  await writeFile(join(folder, file!), Buffer.alloc(10_500, 7));
  expect((await new ShardCache(store, folder).read(range, place)).equals(body.subarray(95_000, 95_077))).toBe(true);
  expect(store.gets).toBe(4);
});

test('the first members of large parts are read before those have come, and a claim of a dead process ends', async () => {
  const store = new MemoryStore();
  const { shard, body } = await put(store, 'd/1.tar', 6_000_000);
  const range = { ...shard, parts: [{ offset: 0, size: 5_000_000 }] };
  const cache = new ShardCache(store, folder);
  const place = { offset: 4_000_000, size: 1000 };
  expect((await cache.read(range, place)).equals(body.subarray(4_000_000, 4_001_000))).toBe(true);
  expect([store.gets, await files()]).toEqual([1, []]);
  await cache.ensure(range);
  const [file] = await files();
  await rm(join(folder, file!));
  await writeFile(join(folder, `${file}.claim`), '');
  await utimes(join(folder, `${file}.claim`), 0, 0);
  const fresh = new ShardCache(store, folder);
  await fresh.ensure(range);
  expect((await fresh.read(range, place)).equals(body.subarray(4_000_000, 4_001_000))).toBe(true);
  expect([store.gets, (await files()).length]).toEqual([3, 2]);
});
