import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { tarShard } from '../../../infra/emoji/draw.ts';
import { indexData } from '../../../src/data/index/index-data.ts';
import { inlineShard } from '../../../src/data/index/open-index.ts';
import type { DataIndex } from '../../../src/data/index/types.ts';
import { MemoryStore } from '../memory-store.ts';
import { tarOf } from '../tar-file.ts';

const pair = (name: string) => [
  { name: `${name}.png`, body: 'image' },
  { name: `${name}.json`, body: '{}' },
];

const namesOf = async (index: DataIndex, shard: number) =>
  (await inlineShard(index, shard)).examples.map(({ name }) => name);

async function storeOf(shards: Record<string, Buffer>) {
  const store = new MemoryStore();
  for (const [key, body] of Object.entries(shards)) await store.put(key, body);
  return store;
}

test('image and JSON are joined by their name up to the first dot; other members are passed over', async () => {
  const members = [{ name: './x/a.b.JSON', body: '{}' }, ...pair('b'), { name: 'b.txt', body: 'text' }];
  const store = await storeOf({
    'd/2.tar': tarOf(pair('c')),
    'd/1.tar': tarOf([
      ...members,
      { name: 'x/a.jpg', body: 'jpeg' },
      { name: 'a.webp', body: 'w' },
      { name: 'a.json', body: '1' },
    ]),
    'd/readme.md': Buffer.from('not a shard'),
    'other/1.tar': tarOf(pair('z')),
  });
  const index = await indexData(store, 'd');
  expect(await Promise.all(index.shards.map(async ({ key }, i) => [key, await namesOf(index, i)]))).toEqual([
    ['d/1.tar', ['b', 'a']],
    ['d/2.tar', ['c']],
  ]);
  expect(index.examples).toBe(3);
  const [first] = (await inlineShard(index, 0)).examples;
  const body = store.objects.get('d/1.tar')!;
  expect(body.toString('utf8', first!.image.offset, first!.image.offset + first!.image.size)).toBe('image');
  // "a.b.JSON" has the extension "b.JSON", as in WebDataset, so x/a is left without its JSON.
  expect(index.corrupt).toEqual([{ shard: 'd/1.tar', name: 'x/a', reason: 'no JSON member' }]);
});

test('each kind of fault is counted with its reason, and the rest of the shard is used', async () => {
  const store = await storeOf({
    'd/1.tar': tarOf([
      ...pair('a'),
      { name: 'b.png', body: 'image' },
      { name: 'c.json', body: '{}' },
      ...pair('d'),
      { name: 'd.png', body: 'again' },
      { name: 'e.png', body: '' },
      { name: 'e.json', body: '{}' },
      { name: 'f.png', body: 'image', damaged: true },
      ...pair('g'),
    ]),
  });
  const index = await indexData(store, 'd');
  const { corrupt, examples } = index;
  expect(await namesOf(index, 0)).toEqual(['a', 'g']);
  expect(examples).toBe(2);
  expect(corrupt.map(({ name, reason }) => `${name}: ${reason}`)).toEqual([
    'byte 8704: broken tar header',
    'b: no JSON member',
    'c: no image member',
    'd: more than one image member',
    'e: empty png member',
  ]);
});

test('hostile names are refused, and reports of them are short and printable', async () => {
  const long = 'n'.repeat(10_000);
  const store = await storeOf({
    'd/1.tar': tarOf([
      ...pair('../../etc/passwd'),
      ...pair('/etc/passwd'),
      ...pair('C:\\windows\\x'),
      ...pair('a/../../b'),
      ...pair('red\u001b[31m'),
      { name: '././@LongLink', type: 'L', body: `${long}.png\0` },
      { name: 'long', body: 'image' },
      ...pair('fine..name'),
      ...pair('fine'),
    ]),
  });
  const index = await indexData(store, 'd');
  const { corrupt } = index;
  expect(await namesOf(index, 0)).toEqual(['fine']);
  expect(corrupt.filter(({ reason }) => reason === 'name leads out of its folder')).toHaveLength(2);
  expect(corrupt.filter(({ reason }) => reason === 'name is an absolute path')).toHaveLength(2);
  expect(corrupt.map(({ reason }) => reason)).toContain('name of 10004 characters, at most 512');
  for (const { name } of corrupt) expect(name).toMatch(/^[\x20-\x7e]{1,140}$/);
});

test('names may have 512 characters, joiners and colons, and what turns the direction of text is refused', async () => {
  const long = (length: number) => 'k'.repeat(length);
  const taken = [
    long(115),
    long(120),
    long(507),
    '\u{1f600}'.repeat(300),
    'می\u200cخواهم',
    '👨‍👩‍👧',
    'soft\u00adhyphen',
    '\ue000',
  ];
  const { body } = await tarShard(
    [...taken, 's:scene/1', 'right\u202eleft', 'tab\tname', long(508), 'back\\slash', 'C:/x', '\\\\host'].flatMap(
      (name) => [
        { name: `${name}.png`, body: Buffer.from('image') },
        { name: `${name}.json`, body: Buffer.from('{}') },
      ],
    ),
  );
  const index = await indexData(await storeOf({ 'd/1.tar': body }), 'd');
  const { corrupt } = index;
  expect(await namesOf(index, 0)).toEqual([...taken, 's:scene/1']);
  const marks = 'name has control characters, or marks that turn the direction of text';
  const counts: Record<string, number> = {};
  for (const { reason } of corrupt) counts[reason] = (counts[reason] ?? 0) + 1;
  expect(counts).toEqual({
    [marks]: 2,
    'name of 513 characters, at most 512': 1,
    'name has a backslash': 1,
    'name is an absolute path': 2,
  });
  expect(corrupt.find(({ reason }) => reason === marks)!.name).toBe('right?left');
});

test('what stands in for a shard is named, counted, and not searched for headers', async () => {
  const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n';
  const store = await storeOf({
    'd/0.tar': tarOf([...pair('BZhang'), ...pair('<html>'), ...pair('PK\u0003\u0004')]),
    'd/1.tar': Buffer.from(pointer),
    'd/2.tar': Buffer.from('<!DOCTYPE html><html><head><title>Sign in</title></head></html>'.padEnd(2000)),
    'd/3.tar': gzipSync(tarOf(pair('a'))),
    'd/4.tar': Buffer.alloc(0),
    'd/5.tar': Buffer.alloc(100_000, 'no tar'),
    'd/6.tar': tarOf(pair('b')),
  });
  const { examples, corrupt } = await indexData(store, 'd');
  expect(examples).toBe(3);
  expect(corrupt.map(({ shard, reason }) => `${shard}: ${reason}`)).toEqual([
    'd/0.tar: name has control characters, or marks that turn the direction of text',
    'd/1.tar: the shard is no tar file: a Git LFS pointer: git lfs pull fetches the file itself',
    'd/2.tar: the shard is no tar file: an HTML page, perhaps of a login or an error',
    'd/3.tar: the shard is no tar file: compressed with gzip: unpack it with gunzip',
    'd/4.tar: the shard is empty',
    'd/5.tar: broken tar header',
  ]);
  await expect(indexData(await storeOf({ 'd/1.tar': Buffer.from(pointer) }), 'd')).rejects.toThrow(
    /no example in the 1 shard below d\/.*a Git LFS pointer: git lfs pull fetches the file itself/,
  );
});

test('of a shard that was read whole the sha256 is that of its bytes, and of others there is none', async () => {
  const long = Buffer.alloc(100_000, 'a picture ');
  const bodies = {
    'd/1.tar': tarOf([
      ...pair('a'),
      ...Array.from({ length: 9 }, (_, i) => ({ name: `${i}.txt`, body: long })),
      ...pair('long'),
      ...pair('b'),
    ]),
    'd/2.tar': Buffer.concat([tarOf(pair('c')), Buffer.alloc(20 * 1024 * 1024)]),
  };
  const index = await indexData(await storeOf(bodies), 'd');
  expect(await Promise.all([0, 1].map((shard) => namesOf(index, shard)))).toEqual([['a', 'long', 'b'], ['c']]);
  expect(index.shards.map(({ sha256 }) => sha256)).toEqual([
    createHash('sha256').update(bodies['d/1.tar']).digest('hex'),
    // What lies behind the end mark is passed over.
    undefined,
  ]);
});

test('the fingerprint follows keys, sizes and content, and not the order of listing', async () => {
  const a = tarOf(pair('a'));
  const b = tarOf(pair('b'));
  const of = async (shards: Record<string, Buffer>) => (await indexData(await storeOf(shards), 'd')).fingerprint;
  const base = await of({ 'd/1.tar': a, 'd/2.tar': b });
  expect(base).toMatch(/^[0-9a-f]{64}$/);
  expect(await of({ 'd/2.tar': b, 'd/1.tar': a })).toBe(base);
  expect(await of({ 'd/1.tar': b, 'd/2.tar': a })).not.toBe(base);
  expect(await of({ 'd/1.tar': a })).not.toBe(base);
});

test('an empty prefix, and shards without examples, are told with the prefix', async () => {
  const store = await storeOf({ 'data/1.tar': tarOf([{ name: 'b.png', body: 'image' }]) });
  await expect(indexData(store, 'dat')).rejects.toMatchObject({
    code: 'DataContract',
    message: 'data: no .tar shards below dat/ in bucket memory; look with aws s3 ls s3://memory/dat/',
  });
  await expect(indexData(store, 'data')).rejects.toMatchObject({
    code: 'DataContract',
    message: expect.stringContaining('no example in the 1 shard below data/') as string,
  });
  await store.put('packed/1.tar.gz', 'gzip');
  await expect(indexData(store, 'packed')).rejects.toThrow(
    /no .tar shards below packed\/.*packed\/1.tar.gz is compressed/,
  );
  await expect(indexData(store, 'data/1.tar')).rejects.toThrow(/below data\/1.tar\/.*name the folder that it lies in/);
});
