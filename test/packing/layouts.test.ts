import { parquetWriteBuffer } from 'hyparquet-writer';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { readExamples } from '../../src/data/example/read-examples.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { scene } from './pictures.ts';
import { examplesBelow, runPack } from './run.ts';

const pictures = await Promise.all(Array.from({ length: 6 }, (_, i) => scene(i)));
const storeOf = (objects: Readonly<Record<string, Buffer | string>>) => {
  const store = new MemoryStore();
  for (const [key, body] of Object.entries(objects)) store.objects.set(key, Buffer.from(body as string));
  return store;
};
const to = 'data/out';
const shown = async (store: MemoryStore) =>
  (await examplesBelow(store, to)).map(({ key, captions, concept }) => [
    key,
    captions,
    ...(concept === undefined ? [] : [concept]),
  ]);

/** A Parquet file as Hugging Face's datasets write it: a struct of bytes and path. */
function parquetOf(rows: readonly { bytes?: Uint8Array; path?: string; text: string }[], rowGroupSize = 2): Buffer {
  const schema = [
    { name: 'root', num_children: 2 },
    { name: 'image', repetition_type: 'OPTIONAL' as const, num_children: 2 },
    { name: 'bytes', type: 'BYTE_ARRAY' as const, repetition_type: 'OPTIONAL' as const },
    {
      name: 'path',
      type: 'BYTE_ARRAY' as const,
      converted_type: 'UTF8' as const,
      repetition_type: 'OPTIONAL' as const,
    },
    {
      name: 'text',
      type: 'BYTE_ARRAY' as const,
      converted_type: 'UTF8' as const,
      repetition_type: 'OPTIONAL' as const,
    },
  ];
  const columnData = [
    { name: 'image', data: rows.map(({ bytes, path }) => ({ bytes, path })) },
    { name: 'text', data: rows.map(({ text }) => text) },
  ];
  return Buffer.from(parquetWriteBuffer({ schema, columnData, rowGroupSize }));
}

describe('a pack', () => {
  it("of Hugging Face's imagefolder takes metadata.jsonl, .csv and .parquet, and what it writes is read by its own recipe line", async () => {
    const rows = [0, 1, 2].map((i) => ({ file_name: `train/${i}.png`, text: `picture ${i}` }));
    const files = Object.fromEntries(rows.map(({ file_name }, i) => [`in/${file_name}`, pictures[i]!]));
    const tables = {
      'metadata.jsonl': rows.map((row) => JSON.stringify(row)).join('\n'),
      'metadata.csv': `file_name,text\n${rows.map(({ file_name, text }) => `${file_name},"${text}"`).join('\r\n')}\r\n`,
      'metadata.parquet': Buffer.from(
        parquetWriteBuffer({
          columnData: ['file_name', 'text'].map((name) => ({
            name,
            data: rows.map((row) => row[name as 'text']),
            type: 'STRING' as const,
          })),
        }),
      ),
    };
    const tars = new Set<string>();
    for (const [name, table] of Object.entries(tables)) {
      const store = storeOf({ ...files, 'in/train/9.png': pictures[5]!, [`in/${name}`]: table });
      const report = await runPack(store, { from: 'in', to, side: 32 });
      expect(report, name).toMatchObject({
        layout: 'imagefolder',
        read: 3,
        examples: 3,
        shards: 1,
        unnamed: 1,
        dropped: {},
      });
      expect(await shown(store)).toEqual(rows.map(({ file_name, text }) => [file_name, { en: [text] }]));
      // Shards and report are all that stays.
      expect([...store.objects.keys()].filter((key) => key.startsWith(to))).toEqual([
        `${to}/pack-00000-00.tar`,
        `${to}/pack.json`,
      ]);
      tars.add(store.objects.get(`${to}/pack-00000-00.tar`)!.toString('base64'));
      const read = [];
      const index = await indexData(store, to, { captions: 'json', language: 'en' });
      for await (const { image, meta } of readExamples(store, index))
        read.push([image.width, image.height, meta.captions.en]);
      expect(read).toEqual(rows.map(({ text }) => [48, 32, [text]]));
    }
    // The same rows give the same bytes, wherever they stood.
    expect(tars.size).toBe(1);
  });

  it('of folders takes the class, the name of the file, or a .txt beside it', async () => {
    const classes = storeOf({ 'in/cat/a.png': pictures[0]!, 'in/dog/b.png': pictures[1]! });
    expect((await runPack(classes, { from: 'in', to })).layout).toBe('folder');
    expect(await shown(classes)).toEqual([
      ['cat/a.png', { en: ['cat'] }, 'cat'],
      ['dog/b.png', { en: ['dog'] }, 'dog'],
    ]);
    const names = storeOf({ 'in/a_red-fox.png': pictures[0]!, 'in/0001.png': pictures[1]! });
    const report = await runPack(names, { from: 'in', to, language: 'de' });
    expect(report.dropped).toEqual({ 'the name says nothing': { pictures: 1, names: ['0001.png'] } });
    expect(await shown(names)).toEqual([['a_red-fox.png', { de: ['a red fox'] }]]);
    const beside = storeOf({
      'in/1.png': pictures[0]!,
      'in/1.txt': ' one \n',
      'in/2.png': pictures[1]!,
      'in/3.png': pictures[2]!,
      'in/3.txt': '',
      'in/4.txt': 'x',
    });
    const { dropped } = await runPack(beside, { from: 'in', to });
    expect(await shown(beside)).toEqual([['1.png', { en: ['one'] }]]);
    expect(dropped).toEqual({
      'no .txt lies beside the picture': { pictures: 1, names: ['2.png: no .txt lies beside the picture: in/2.txt'] },
      'the .txt is empty': { pictures: 1, names: ['3.png'] },
    });
  });

  it('of Parquet takes pictures that lie in it by row groups, keeping their bytes where told, and reads no file whole', async () => {
    const rows = pictures.map((bytes, i) => ({ bytes, path: `p${i}.png`, text: `picture ${i}` }));
    const store = storeOf({
      'in/train-00000-of-00001.parquet': parquetOf(rows),
      'in/test-00000-of-00001.parquet': parquetOf(rows.slice(0, 1)),
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

  it("of Karpathy's JSON takes all sentences of a picture, of the splits that are named, from where the pictures lie", async () => {
    const images = [0, 1, 2].map((i) => ({
      filepath: 'val2014',
      sentids: [i],
      filename: `${i}.png`,
      imgid: i,
      split: i === 2 ? 'test' : 'train',
      sentences: [
        { tokens: ['a'], raw: `A "picture" {${i}}.`, imgid: i },
        { tokens: [], raw: `Number ${i}` },
      ],
    }));
    const store = storeOf({
      'in/dataset_coco.json': JSON.stringify({
        dataset: 'coco [x] {',
        nested: { images: [{ filename: 'no' }] },
        images,
      }),
      ...Object.fromEntries(images.map(({ filename }, i) => [`in/images/val2014/${filename}`, pictures[i]!])),
    });
    const report = await runPack(store, { from: 'in', to, splits: ['train', 'restval'] });
    expect(report).toMatchObject({ layout: 'karpathy', read: 2, examples: 2, otherSplits: 1, unnamed: 1 });
    expect(await shown(store)).toEqual(
      [0, 1].map((i) => [`val2014/${i}.png`, { en: [`A "picture" {${i}}.`, `Number ${i}`] }]),
    );
  });

  it('of JSONL takes texts by language, columns that are told, regions, source and class', async () => {
    const box = [{ caption: 'a part', box: [0, 0.5, 1, 1] }];
    const store = storeOf({
      'in/rows.jsonl': [
        JSON.stringify({
          image: 's3://memory/pics/0.png',
          alt: 'zero',
          alt_de: 'null',
          regions: box,
          source: 'web',
          label: 'thing',
        }),
        JSON.stringify({ image: './pics/1.png', alt: ['one', 'eins'], alt_de: { fr: 'un' } }),
      ].join('\n'),
      'pics/0.png': pictures[0]!,
      'in/pics/1.png': pictures[1]!,
    });
    await runPack(store, { from: 'in', to, captions: { alt: 'en', alt_de: 'de' } });
    const [first, second] = await examplesBelow(store, to);
    expect(first).toMatchObject({
      captions: { en: ['zero'], de: ['null'] },
      regions: box,
      source: 'web',
      concept: 'thing',
      key: '/memory/pics/0.png'.slice(1),
    });
    expect(second).toMatchObject({ captions: { en: ['one', 'eins'], fr: ['un'] } });
  });

  it('writes the side, format and quality that are chosen, within the size of a shard', async () => {
    const photos = await Promise.all(Array.from({ length: 8 }, (_, i) => scene(100 + i, 640, 480)));
    const files = Object.fromEntries(photos.map((bytes, i) => [`in/photo ${'abcdefgh'[i]}.png`, bytes]));
    const webp = storeOf(files);
    await runPack(webp, { from: 'in', to, shardBytes: 10_000 });
    const keys = [...webp.objects.keys()].filter((key) => key.endsWith('.tar'));
    expect(keys.length).toBeGreaterThan(1);
    for (const key of keys) expect(webp.objects.get(key)!.length).toBeLessThanOrEqual(10_240);
    for (const { picture, ending } of await examplesBelow(webp, to)) {
      const { format, width, height, exif } = await sharp(picture).metadata();
      expect([ending, format, width, height, exif]).toEqual(['webp', 'webp', 341, 256, undefined]);
    }
    const jpg = storeOf(files);
    await runPack(jpg, { from: 'in', to, format: 'jpg', side: 1000, quality: 95 });
    for (const { picture } of await examplesBelow(jpg, to))
      expect(await sharp(picture).metadata()).toMatchObject({ format: 'jpeg', width: 640 });
  });
});
