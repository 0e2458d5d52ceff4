import { expect, it } from 'vitest';
import { readSelected } from '../../../src/data/example/read-selected.ts';
import { openIndex } from '../../../src/data/index/open-index.ts';
import type { CorruptMember, ExampleEntry, InlineIndex } from '../../../src/data/index/types.ts';

/** Shards of pictures that are none, with their texts before or behind them. */
function shards(counts: readonly number[], textOf: (shard: number, example: number) => string) {
  const bytes = new Map<string, Buffer>();
  const listed = counts.map((count, shard) => {
    const parts: Buffer[] = [];
    let offset = 0;
    const put = (text: string) => {
      const part = Buffer.from(text);
      parts.push(part);
      offset += part.length;
      return { offset: offset - part.length, size: part.length };
    };
    const examples = Array.from({ length: count }, (_, i): ExampleEntry => {
      const before = i % 2 === 0 ? put(textOf(shard, i)) : null;
      const image = put(`picture ${shard}/${i}${' '.repeat(1000 * shard)}`);
      return { name: `${i}`, image, meta: before ?? put(textOf(shard, i)) };
    });
    const key = `data/${shard}.tar`;
    bytes.set(key, Buffer.concat(parts));
    return { key, bytes: offset, etag: 'e', examples };
  });
  const total = counts.reduce((sum, count) => sum + count, 0);
  const document: InlineIndex = { prefix: 'data', fingerprint: 'f', examples: total, corrupt: [], shards: listed };
  let read = 0;
  const get = async (key: string, range?: { offset?: number; size?: number }) => {
    const { offset = 0, size = 0 } = range ?? {};
    read += size;
    return bytes.get(key)!.subarray(offset, offset + size);
  };
  const store = { bucket: 'test', get } as Parameters<typeof openIndex>[1];
  return { store, index: openIndex(document, store), read: () => read };
}

const said = (shard: number, example: number) => JSON.stringify({ captions: { en: [`${shard}/${example}`] } });

async function read(of: ReturnType<typeof shards>, numbers: readonly number[]) {
  const found: string[] = [];
  const corrupt: CorruptMember[] = [];
  for await (const one of readSelected(of.store, of.index, numbers, (member) => corrupt.push(member))) {
    expect(one.picture.toString().trim()).toBe(`picture ${one.meta.captions.en![0]}`);
    found.push(`${one.number} ${one.shard} ${one.name}`);
  }
  return { found, corrupt };
}

it('reads the chosen examples of all shards in their order, those of empty shards between included', async () => {
  const of = shards([3, 0, 5, 4], said);
  const { found, corrupt } = await read(of, [0, 2, 4, 7, 8, 11]);
  expect(found).toEqual([
    '0 data/0.tar 0',
    '2 data/0.tar 2',
    '4 data/2.tar 1',
    '7 data/2.tar 4',
    '8 data/3.tar 0',
    '11 data/3.tar 3',
  ]);
  expect(corrupt).toEqual([]);
});

it('reads little more than what was chosen of large shards', async () => {
  const of = shards([0, 0, 0, 0, 0, 400], said);
  await read(of, [10, 390]);
  // Pictures of 5 kB: a shard of 2 MB.
  expect(of.read()).toBeLessThan(400_000);
});

it('tells what can not be used, and goes on', async () => {
  const of = shards([2, 2], (shard, example) => (shard === 0 ? '{' : said(shard, example)));
  const { found, corrupt } = await read(of, [0, 1, 3]);
  expect(found).toEqual(['3 data/1.tar 1']);
  expect(corrupt.map(({ shard, name }) => `${shard} ${name}`)).toEqual(['data/0.tar 0', 'data/0.tar 1']);
  expect(corrupt[0]!.reason).toMatch(/the JSON member/);
});
