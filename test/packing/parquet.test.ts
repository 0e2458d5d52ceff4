import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { storeOf } from '../data/memory-store.ts';
import { bytesOf, listOf, type ParquetColumn, parquetFile, textOf } from './parquet-file.ts';
import { scene } from './pictures.ts';
import { examplesBelow, runPack } from './run.ts';

const pictures = await Promise.all(Array.from({ length: 6 }, (_, i) => scene(i)));
const to = 'data/out';

/** As Hugging Face's datasets write it: a struct of bytes and path. */
function ofDatasets(rows: readonly { bytes?: Uint8Array; path?: string; text: string }[]): Buffer {
  const image = { name: 'image', repetition_type: 'OPTIONAL', num_children: 2 };
  return parquetFile(
    [
      { schema: [image, bytesOf('bytes'), textOf('path')], data: rows.map(({ bytes, path }) => ({ bytes, path })) },
      { schema: [textOf('text')], data: rows.map(({ text }) => text) },
    ],
    2,
  );
}

describe('a pack', () => {
  it('of Parquet takes pictures that lie in it by row groups, keeping their bytes where told, and reads no file whole', async () => {
    const rows = pictures.map((bytes, i) => ({ bytes, path: `p${i}.png`, text: `picture ${i}` }));
    const store = storeOf({
      'in/train-00000-of-00001.parquet': ofDatasets(rows),
      'in/test-00000-of-00001.parquet': ofDatasets(rows.slice(0, 1)),
    });
    const sizes: number[] = [];
    const get = store.get.bind(store);
    store.get = (key, options) => {
      if (key.endsWith('.parquet')) sizes.push(options?.size ?? Number.POSITIVE_INFINITY);
      return get(key, options);
    };
    const report = await runPack(store, { from: 'in', to, format: 'original', partExamples: 2, splits: ['train'] });
    expect(report).toMatchObject({ layout: 'parquet', read: 6, examples: 6, shards: 3 });
    const found = await examplesBelow(store, to);
    expect(found.map(({ key, captions }) => [key, captions.en])).toEqual(rows.map(({ path, text }) => [path, [text]]));
    expect(
      found.map(({ picture }) => picture.equals(pictures[found.findIndex((one) => one.picture === picture)]!)),
    ).toEqual(Array(6).fill(true));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(2 ** 19);
  });

  it('of Parquet carries over regions and sources, whether it names its pictures or holds them', async () => {
    const said = [[{ caption: 'a part', box: [0, 0.25, 0.5, 1] }], undefined, []];
    const box = listOf('box', { type: 'DOUBLE' });
    const table = (image: ParquetColumn) =>
      parquetFile([
        image,
        { schema: [textOf('text')], data: ['a', 'b', 'c'] },
        { schema: [textOf('source')], data: ['web', undefined, 'books'] },
        { schema: listOf('regions', { num_children: 2 }, textOf('caption'), ...box), data: said },
      ]);
    const names = [0, 1, 2].map((i) => `${i}.png`);
    const named = storeOf({
      ...Object.fromEntries(names.map((name, i) => [`in/${name}`, pictures[i]!])),
      'in/rows.parquet': table({ schema: [textOf('image')], data: names }),
    });
    const held = storeOf({ 'in/rows.parquet': table({ schema: [bytesOf('image')], data: pictures.slice(0, 3) }) });
    for (const store of [named, held]) {
      expect(await runPack(store, { from: 'in', to })).toMatchObject({ layout: 'parquet', examples: 3 });
      const found = await examplesBelow(store, to);
      expect(found.map(({ captions, regions, source }) => [captions.en, regions, source])).toEqual([
        [['a'], said[0], 'web'],
        [['b'], undefined, undefined],
        [['c'], undefined, 'books'],
      ]);
    }
  });

  it('of Parquet reads every codec and both kinds of pages that pyarrow writes', async () => {
    const folder = new URL('fixtures/', import.meta.url);
    const files = readdirSync(folder).filter((name) => name.endsWith('.parquet'));
    expect(files).toHaveLength(12);
    const text = (i: number) => `picture ${i}: a cat, eine Katze, 一只猫 `.repeat(3).trim();
    for (const file of files) {
      const store = storeOf({
        ...Object.fromEntries([0, 1, 2, 3].map((i) => [`in/${i}.png`, pictures[i]!])),
        'in/metadata.parquet': readFileSync(new URL(file, folder)),
      });
      const report = await runPack(store, { from: 'in', to, side: 16 });
      expect(report, file).toMatchObject({ read: 40, examples: 4, duplicates: { exact: 36, texts: 36 } });
      const found = await examplesBelow(store, to);
      expect(
        found.map(({ concept }) => concept),
        file,
      ).toEqual(['0', '1', '2', '0']);
      for (const [i, { captions }] of found.entries())
        expect(captions.en, file).toEqual(Array.from({ length: 10 }, (_, n) => text(4 * n + i)));
    }
  });
});
