import { expect, test } from 'vitest';
import { indexData } from '../../../src/data/index/index-data.ts';
import { MemoryStore } from '../memory-store.ts';
import { tarOf } from '../tar-file.ts';

const pair = (name: string) => [
  { name: `${name}.png`, body: 'image' },
  { name: `${name}.json`, body: '{}' },
];

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
  expect(index.shards.map(({ key, examples }) => [key, examples.map(({ name }) => name)])).toEqual([
    ['d/1.tar', ['b', 'a']],
    ['d/2.tar', ['c']],
  ]);
  expect(index.examples).toBe(3);
  const [first] = index.shards[0]!.examples;
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
  const { shards, corrupt, examples } = await indexData(store, 'd');
  expect(shards[0]!.examples.map(({ name }) => name)).toEqual(['a', 'g']);
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
  const { shards, corrupt } = await indexData(store, 'd');
  expect(shards[0]!.examples.map(({ name }) => name)).toEqual(['fine']);
  expect(corrupt.filter(({ reason }) => reason === 'name leads out of its folder')).toHaveLength(4);
  expect(corrupt.filter(({ reason }) => reason === 'name is an absolute path')).toHaveLength(4);
  expect(corrupt.map(({ reason }) => reason)).toContain('name of 10004 characters, at most 512');
  for (const { name } of corrupt) expect(name).toMatch(/^[\x20-\x7e]{1,140}$/);
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
    message: expect.stringContaining('no example in the 1 shards below data/') as string,
  });
});
