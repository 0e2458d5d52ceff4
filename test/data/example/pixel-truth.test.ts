import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { readPixelTruth } from '../../../src/data/example/pixel-truth.ts';
import { readSelected } from '../../../src/data/example/read-selected.ts';
import { indexData } from '../../../src/data/index/index-data.ts';
import { indexKey, memberKinds } from '../../../src/data/index/index-object.ts';
import { corruptIn, openIndex } from '../../../src/data/index/open-index.ts';
import type { PixelKind } from '../../../src/data/index/types.ts';
import { pixelsOf } from '../../../src/evaluate/features/pixel-tensors.ts';
import { MemoryStore } from '../memory-store.ts';
import { tarOf } from '../tar-file.ts';

const grey = (width: number, height: number, values: readonly number[]) =>
  sharp(Uint8Array.from(values), { raw: { width, height, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toBuffer();
const colours = (width: number, height: number, values: readonly number[]) =>
  sharp(Uint8Array.from(values), { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
const deep = (width: number, height: number, values: readonly number[]) =>
  sharp(Uint16Array.from(values), { raw: { width, height, channels: 1 } })
    .toColourspace('grey16')
    .png()
    .toBuffer();

const mask = [0, 1, 255, 7, 150, 3];
const depth = [0, 1, 999, 1234, 10_000, 65_535];
const normals = [0, 0, 0, 255, 128, 128, ...Array.from({ length: 12 }, (_, i) => 10 * i)];
const size = { width: 3, height: 2 };

async function store() {
  const picture = await colours(3, 2, normals);
  const json = JSON.stringify({ captions: { en: ['a room'] } });
  const both = (name: string) => [
    { name: `${name}.png`, body: picture },
    { name: `${name}.json`, body: json },
  ];
  const made = new MemoryStore();
  await made.put(
    'd/0.tar',
    tarOf([
      { name: 'a.mask.png', body: await grey(3, 2, mask) },
      ...both('a'),
      { name: 'a.depth.png', body: await deep(3, 2, depth) },
      { name: 'a.normals.png', body: await colours(3, 2, normals) },
      ...both('b'),
      ...both('c'),
      { name: 'c.mask.png', body: 'none' },
      { name: 'c.mask.png', body: 'none' },
    ]),
  );
  return made;
}

async function read(from: MemoryStore, pixels: readonly PixelKind[]) {
  const index = await indexData(from, 'd', undefined, { pixels });
  const found: Record<string, Readonly<Partial<Record<PixelKind, Buffer>>>> = {};
  for await (const one of readSelected(
    from,
    index,
    Array.from({ length: index.examples }, (_, i) => i),
    () => {},
  ))
    found[one.name] = one.pixels;
  return { index, found };
}

it('members with a value a pixel are found by the index that asks for them, and come as they were written', async () => {
  const { index, found } = await read(await store(), ['normals', 'mask', 'depth']);
  // What is wrong with such a member is wrong with its example: it is counted and named.
  expect(index.corrupt).toEqual([{ shard: 'd/0.tar', name: 'c', reason: 'more than one mask member' }]);
  expect(Object.keys(found)).toEqual(['a', 'b']);
  expect(found.b).toEqual({});
  const truth = async (kind: PixelKind) => readPixelTruth(kind, found.a![kind]!, size);
  expect(await truth('mask')).toEqual({ ...size, values: Uint8Array.from(mask) });
  expect(await truth('depth')).toEqual({ ...size, values: Uint16Array.from(depth) });
  expect(await truth('normals')).toEqual({ ...size, values: Uint8Array.from(normals) });
});

it('an index that asks for none is what it was before there were any, by its key and in all its bytes', async () => {
  const from = await store();
  const { index, found } = await read(from, []);
  expect([corruptIn(index), Object.keys(found), found.a]).toEqual([0, ['a', 'b', 'c'], {}]);
  expect(Object.keys(index.document)).toEqual(['version', 'prefix', 'fingerprint', 'examples', 'shards', 'corrupt']);
  const shard = { key: 'd/0.tar', bytes: 1, etag: 'e' };
  // As the release of before has it.
  expect(indexKey(shard, memberKinds(undefined))).toBe(
    'indexes/fe3c067a98f2f16c9961ea00db9acaa818c096a2cf716eb721bff44c226faa21.index',
  );
  const one = await read(from, ['mask']);
  expect([...from.objects.keys()].filter((key) => key.startsWith('indexes/'))).toHaveLength(2);
  // Opened from its document elsewhere it has them still.
  const again = openIndex(JSON.parse(JSON.stringify(one.index.document)), from);
  expect((await again.entriesOf(0)).at(0)).toEqual((await one.index.entriesOf(0)).at(0));
  expect((await again.entriesOf(0)).at(0).pixels).toEqual({
    mask: expect.objectContaining({ size: expect.any(Number) }),
  });
});

it('a member of another size than its picture, of another kind or damaged is named', async () => {
  const fault = async (kind: PixelKind, bytes: Buffer) =>
    ((await readPixelTruth(kind, bytes, size)) as { fault: string }).fault;
  expect(await fault('mask', await grey(2, 3, mask))).toBe('mask: it has 2 x 3 pixels, and its picture 3 x 2');
  expect(await fault('mask', await colours(3, 2, normals))).toBe(
    'mask: the mask is no PNG with a palette or of grey values: colours say no class',
  );
  expect(await fault('depth', await grey(3, 2, mask))).toBe(
    'depth: depth has to be a PNG with 16 bits of grey, and this one has 8 bits of kind 0',
  );
  expect(await fault('normals', await grey(3, 2, mask))).toBe(
    'normals: normals have to be a PNG with 8 bits of red, green and blue, and this one has 8 bits of kind 0',
  );
  expect(await fault('mask', (await grey(3, 2, mask)).subarray(0, 50))).toBe('mask: the PNG breaks off or is damaged');
  expect(await fault('mask', Buffer.from('none'))).toBe('mask: it is no PNG');
  const found = await pixelsOf({ pixels: { mask: Buffer.alloc(0) } }, ['mask', 'depth'], size);
  expect(found).toEqual({
    mask: { fault: 'mask: the mask.png member has more than 67108864 bytes' },
    depth: { fault: 'depth: there is no depth.png member beside the picture' },
  });
});

it('normals have three numbers a pixel where their PNG marks a colour as clear too', async () => {
  const plain = await colours(3, 2, normals);
  const body = Buffer.from([...Buffer.from('tRNS'), 0, 255, 0, 128, 0, 128]);
  const chunk = Buffer.alloc(18);
  chunk.writeUInt32BE(6);
  body.copy(chunk, 4);
  chunk.writeUInt32BE(crc32(body), 14);
  const clear = Buffer.concat([plain.subarray(0, 33), chunk, plain.subarray(33)]);
  expect(await readPixelTruth('normals', clear, size)).toEqual({ ...size, values: Uint8Array.from(normals) });
});
