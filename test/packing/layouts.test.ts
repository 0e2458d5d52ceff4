import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { readExamples } from '../../src/data/example/read-examples.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { type MemoryStore, storeOf } from '../data/memory-store.ts';
import { scene } from './pictures.ts';
import { examplesBelow, runPack } from './run.ts';

const pictures = await Promise.all(Array.from({ length: 6 }, (_, i) => scene(i)));
const to = 'data/out';
const shown = async (store: MemoryStore) =>
  (await examplesBelow(store, to)).map(({ key, captions, concept }) => [
    key,
    captions,
    ...(concept === undefined ? [] : [concept]),
  ]);

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

  it("of COCO's own documents joins captions to their pictures, and boxes of instances as regions, gzipped or not", async () => {
    const info = { info: { description: 'COCO "2017" {"images": [' }, licenses: [{ id: 1, name: 'images' }] };
    const images = [
      { license: 1, file_name: '000000000139.png', height: 64, width: 96, date_captured: '2013-11-21', id: 139 },
      { license: 1, file_name: '000000000285.png', height: 64, width: 96, id: 285 },
      { license: 1, file_name: '000000000632.png', height: 64, width: 96, id: 632 },
    ];
    const captions = [
      { image_id: 285, id: 1, caption: 'A bear.' },
      { image_id: 139, id: 2, caption: 'A room with a TV.' },
      { image_id: 139, id: 3, caption: 'A living room.' },
    ];
    const segmentation = [[1, 2, 3, 4, 5, 6]];
    const boxes = [
      { segmentation, iscrowd: 0, image_id: 139, bbox: [24, 16, 48, 32], category_id: 72, id: 1 },
      { segmentation, iscrowd: 0, image_id: 139, bbox: [90, 60, 6.5, 4.5], category_id: 62, id: 2 },
      {
        segmentation: { counts: [9], size: [64, 96] },
        iscrowd: 1,
        image_id: 139,
        bbox: [0, 0, 9, 9],
        category_id: 62,
        id: 3,
      },
      { segmentation, iscrowd: 0, image_id: 285, bbox: [10, 10, 0, 5], category_id: 62, id: 4 },
    ];
    const categories = [
      { supercategory: 'furniture', id: 62, name: 'chair' },
      { supercategory: 'electronic', id: 72, name: 'tv' },
    ];
    const documents = {
      captions_val2017: JSON.stringify({ ...info, images, annotations: captions }),
      instances_val2017: JSON.stringify({ ...info, images, annotations: boxes, categories }),
    };
    for (const packed of [false, true]) {
      const store = storeOf({
        ...Object.fromEntries(
          Object.entries(documents).map(([name, text]) =>
            packed ? [`in/annotations/${name}.json.gz`, gzipSync(text)] : [`in/annotations/${name}.json`, text],
          ),
        ),
        ...Object.fromEntries(images.map(({ file_name }, i) => [`in/val2017/${file_name}`, pictures[i]!])),
      });
      const report = await runPack(store, { from: 'in', to, splits: ['val2017'] });
      expect(report).toMatchObject({ layout: 'coco', read: 3, examples: 2 });
      expect(Object.keys(report.dropped)).toEqual(['the row has no text']);
      const [room, bear] = await examplesBelow(store, to);
      expect(room).toMatchObject({
        captions: { en: ['A room with a TV.', 'A living room.'] },
        regions: [
          { caption: 'tv', box: [0.25, 0.25, 0.75, 0.75] },
          { caption: 'chair', box: [60 / 64, 90 / 96, 1, 1] },
        ],
      });
      expect(bear).toMatchObject({ key: '000000000285.png', captions: { en: ['A bear.'] } });
      expect(bear).not.toHaveProperty('regions');
    }
  });

  it('of gzipped tables writes the shards of the same tables as they are', async () => {
    const rows = [0, 1, 2].map((i) => ({ file_name: `${i}.png`, text: `picture ${i}, "quoted"` }));
    const files = Object.fromEntries(rows.map(({ file_name }, i) => [`in/${file_name}`, pictures[i]!]));
    const tables = {
      'metadata.jsonl': rows.map((row) => JSON.stringify(row)).join('\n'),
      'rows.csv': `file_name,text\n${rows.map((row) => `${row.file_name},"${row.text.replaceAll('"', '""')}"`).join('\n')}`,
      'dataset_flickr30k.json': JSON.stringify({
        images: rows.map(({ file_name, text }) => ({
          filename: file_name,
          split: 'train',
          sentences: [{ raw: text }],
        })),
      }),
    };
    for (const [name, table] of Object.entries(tables)) {
      const plain = storeOf({ ...files, [`in/${name}`]: table });
      const zipped = storeOf({ ...files, [`in/${name}.gz`]: gzipSync(table) });
      await runPack(plain, { from: 'in', to });
      await runPack(zipped, { from: 'in', to });
      expect(await shown(zipped), name).toHaveLength(3);
      expect(await shown(zipped), name).toEqual(await shown(plain));
    }
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
