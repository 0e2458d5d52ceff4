import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import type { Files } from '../../src/benchmarks/files.ts';
import { bucketFiles } from '../../src/benchmarks/files.ts';
import { type BenchmarkJob, packBenchmark } from '../../src/benchmarks/pack.ts';
import type { PackedSettings } from '../../src/benchmarks/pack-progress.ts';
import { readMask } from '../../src/data/example/pixel-values.ts';
import { readSelected } from '../../src/data/example/read-selected.ts';
import { parseTruth } from '../../src/data/example/truth.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { tarMembers } from '../../src/data/index/tar.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { bytesOf, fixture, folders, tarOf } from './data-set.ts';

const made = folders();
const scratch = mkdtempSync(join(tmpdir(), 'benchmark-pack-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const picture = (width: number, height: number, shade = 100) =>
  sharp({ create: { width, height, channels: 3, background: { r: shade, g: 20, b: 30 } } })
    .jpeg()
    .toBuffer();

const to = 'data/made';
const jobOf = (files: Files, settings: Partial<PackedSettings> & Pick<PackedSettings, 'kind'>): BenchmarkJob => ({
  files,
  to,
  settings: { shardBytes: 1e8, shardExamples: 1000, ...settings },
  scratch,
  note() {},
});

/** What evaluators get to see of the shards. */
async function examplesOf(store: MemoryStore) {
  const index = await indexData(store, to);
  expect(index.corrupt).toEqual([]);
  const examples = [];
  const numbers = Array.from({ length: index.examples }, (_, i) => i);
  for await (const { name, meta, picture, said } of readSelected(store, index, numbers, (corrupt) => {
    throw new Error(corrupt.reason);
  }))
    examples.push({ name, meta, picture: Buffer.from(picture), truth: parseTruth(said) });
  return examples;
}

async function memberOf(store: MemoryStore, name: string): Promise<Buffer> {
  const tar = store.objects.get(`${to}/00000.tar`)!;
  for await (const member of tarMembers(async (offset, size) => tar.subarray(offset, offset + size), tar.length))
    if ('offset' in member && member.name === name) return tar.subarray(member.offset, member.offset + member.size);
  throw new Error(`no member ${name}`);
}

describe('a data set of the usual ones', () => {
  it('of a table of CLIP_benchmark becomes labels, names of classes and templates beside untouched pictures', async () => {
    const cat = await picture(9, 7);
    const files = made({
      'test/nshards.txt': '1',
      'classnames.txt': 'cat\n\nowl\n',
      'zeroshot_classification_templates.txt': 'a photo of a {c}.\n',
      'test/0.tar': await tarOf({ 's1.jpg': cat, 's1.cls': '0', 's2.jpg': 'GIF89', 's2.cls': '2', 's3.jpg': 'no' }),
    });
    const store = new MemoryStore();
    const report = await packBenchmark(store, jobOf(files, { kind: 'clip-benchmark' }));
    expect(report).toMatchObject({ examples: 2, shards: 1, classes: 3, templates: 1, captions: {} });
    expect(report.leftOut).toEqual({ 'it has no .cls': { pictures: 1, names: ['test/0.tar/s3'] } });
    expect(report.notes).toEqual(['class 1 has no name']);
    const [first, second] = await examplesOf(store);
    expect(first!.picture.equals(cat)).toBe(true);
    expect(first!.meta).toMatchObject({ concept: '0', captions: { en: ['cat'] }, key: 'test/0.tar/s1' });
    expect(second!.meta).toMatchObject({ concept: '2', captions: { en: ['owl'] } });
    // Numbers of classes are those of the lines.
    expect(store.objects.get(`${to}/classes.txt`)!.toString()).toBe('cat\nclass 1\nowl\n');
    expect(store.objects.get(`${to}/templates.txt`)!.toString()).toBe('a photo of a {c}.\n');
    expect([...store.objects.keys()].filter((key) => key.includes('_benchmark'))).toEqual([]);
  });

  it('of masks keeps those of a palette, and writes those of ADE20k with 0 as the first class', async () => {
    const small = await picture(8, 6);
    const voc = made({
      'ImageSets/Segmentation/val.txt': 'a\nb\n',
      'JPEGImages/a.jpg': small,
      'JPEGImages/b.jpg': await picture(9, 6),
      'SegmentationClass/a.png': bytesOf(fixture.voc),
      'SegmentationClass/b.png': bytesOf(fixture.voc),
    });
    const store = new MemoryStore();
    const report = await packBenchmark(store, jobOf(voc, { kind: 'voc' }));
    expect(report.leftOut).toEqual({
      'the mask has ... x ... pixels, and its picture ... x ...': {
        pictures: 1,
        names: ['b: the mask has 8 x 6 pixels, and its picture 9 x 6'],
      },
    });
    expect((await memberOf(store, '00000001.mask.png')).equals(bytesOf(fixture.voc))).toBe(true);
    expect(report).toMatchObject({ examples: 1, classes: 21 });

    const ade = made({
      'images/validation/a.jpg': small,
      'annotations/validation/a.png': bytesOf(fixture.grey),
      'objectInfo150.txt': 'Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.1\t1\t1\t1\twall\n',
    });
    const other = new MemoryStore();
    await packBenchmark(other, jobOf(ade, { kind: 'ade20k' }));
    const less = fixture.classes.map((is: number) => (is === 0 || is === 255 ? 255 : is - 1));
    expect(await readMask(await memberOf(other, '00000001.mask.png'))).toMatchObject({
      values: Uint8Array.from(less),
    });
    expect(other.objects.get(`${to}/classes.txt`)!.toString()).toBe('wall\n');
  });

  it('of depth keeps its bytes', async () => {
    const files = made({
      'nyu_test.txt': 'bath/rgb_1.jpg bath/depth_1.png 518.8\nbath/rgb_2.jpg bath/depth_1.png 518.8\n',
      'bath/rgb_1.jpg': await picture(640, 480),
      'bath/rgb_2.jpg': await picture(64, 48),
      'bath/depth_1.png': bytesOf(fixture.depth),
    });
    const store = new MemoryStore();
    const { examples, leftOut } = await packBenchmark(store, jobOf(files, { kind: 'nyu' }));
    expect([examples, Object.keys(leftOut)]).toEqual([
      1,
      ['the depth has ... x ... pixels, and its picture ... x ...'],
    ]);
    expect((await memberOf(store, '00000001.depth.png')).equals(bytesOf(fixture.depth))).toBe(true);
  });

  it('of boxes has them in shares of the picture, with what is known not to be there', async () => {
    const instances = {
      images: [
        { id: 3, coco_url: 'http://images.cocodataset.org/val2017/3.jpg', neg_category_ids: [2] },
        { id: 1, coco_url: 'http://images.cocodataset.org/val2017/1.jpg', not_exhaustive_category_ids: [1] },
      ],
      annotations: [
        { id: 10, image_id: 3, category_id: 1, bbox: [20, 10, 50, 25], area: 700 },
        { id: 11, image_id: 3, category_id: 2, bbox: [90, 40, 20, 20], area: 100, iscrowd: 1 },
        { id: 12, image_id: 3, category_id: 2, bbox: [200, 40, 20, 20], area: 100 },
      ],
      categories: [
        { id: 1, name: 'cat', frequency: 'f' },
        { id: 2, name: 'owl', frequency: 'r' },
      ],
    };
    const files = made({
      'lvis_v1_val.json': JSON.stringify(instances),
      'val2017/3.jpg': await picture(100, 50),
      'val2017/1.jpg': await picture(10, 10),
    });
    const store = new MemoryStore();
    const { leftOut } = await packBenchmark(store, jobOf(files, { kind: 'lvis' }));
    expect(leftOut).toEqual({ 'a box lies outside of its picture': { pictures: 1, names: ['3'] } });
    const [one, three] = await examplesOf(store);
    expect(one!.truth).toEqual({ objects: [], absent: [], partial: ['cat'] });
    expect(three!.truth).toEqual({
      objects: [
        { category: 'cat', box: [0.2, 0.2, 0.7, 0.7], area: 700 },
        { category: 'owl', box: [0.8, 0.9, 1, 1], area: 100, crowd: true },
      ],
      absent: ['owl'],
      partial: [],
    });
    expect(JSON.parse(store.objects.get(`${to}/categories.json`)!.toString())).toEqual([
      { name: 'cat', frequency: 'f' },
      { name: 'owl', frequency: 'r' },
    ]);
  });

  it('of pointing texts has a region for each sentence, and each picture once', async () => {
    const files = made({
      'refs(unc).p': bytesOf(fixture.pickles['2']),
      'instances.json': JSON.stringify({
        images: [{ id: 11, file_name: '11.jpg' }],
        annotations: [{ id: 101, image_id: 11, bbox: [10, 20, 30, 40] }],
      }),
      'train2014/11.jpg': await picture(100, 80),
    });
    const store = new MemoryStore();
    await packBenchmark(store, jobOf(files, { kind: 'refcoco' }));
    const [only, ...more] = await examplesOf(store);
    expect(more).toEqual([]);
    expect(only!.truth.regions).toEqual([
      { caption: 'the left cat', box: [0.25, 0.1, 0.75, 0.4] },
      { caption: "it's the café's", box: [0.25, 0.1, 0.75, 0.4] },
    ]);
  });

  it('of several languages, of groups and of several labels keeps what evaluators count by', async () => {
    const files = made({
      'captions.jsonl': `${JSON.stringify({ 'image/key': 'k', de: { caption: ['Katze'] }, quz: { caption: ['michi', 'misi'] } })}\n`,
      'images/k.jpg': await picture(4, 4),
      'images_v2_imagenet_test.csv':
        'id,country.name,region.id,imageRelPath,income,imagenet_sysnet_id\na,Peru,,images/k.jpg,100,"[3, 5]"\n',
      'real.json': '[[], [7]]',
      'val/ILSVRC2012_val_00000001.JPEG': await picture(4, 4),
      'val/ILSVRC2012_val_00000002.JPEG': await picture(4, 4),
    });
    const languages = new MemoryStore();
    const { captions, leftOut } = await packBenchmark(languages, jobOf(files, { kind: 'xm3600' }));
    expect(captions).toEqual({ de: 1, quz: 2 });
    expect(Object.values(leftOut).reduce((sum, { pictures }) => sum + pictures, 0)).toBe(34);
    expect((await examplesOf(languages))[0]!.meta.captions).toEqual({ de: ['Katze'], quz: ['michi', 'misi'] });

    const street = new MemoryStore();
    await packBenchmark(street, jobOf(files, { kind: 'dollar-street' }));
    const [home] = await examplesOf(street);
    expect(home!.meta.concepts).toEqual(['3', '5']);
    expect(home!.truth.groups).toEqual({ income: 'Q4', country: 'Peru' });

    const real = new MemoryStore();
    await packBenchmark(real, jobOf(files, { kind: 'imagenet-real' }));
    expect((await examplesOf(real)).map(({ meta }) => meta.concepts ?? meta.concept)).toEqual([[], '7']);
  });

  it('of pictures with text in them has the captions that big_vision takes', async () => {
    const image = await picture(4, 4);
    const files = made({
      'TextCaps_0.1_val.json': JSON.stringify({
        data: [
          { image_id: 'a', caption_str: 'a sign' },
          { image_id: 'b', caption_str: 'a bus' },
          { image_id: 'a', caption_str: 'a red sign' },
          { image_id: '../c', caption_str: 'x' },
        ],
      }),
      'train_images/a.jpg': image,
      'train_images/b.jpg': image,
      'screen_summaries.csv': 'screenId,summary\n54137,page of a login\n54138,not in the split\n54137,login screen\n',
      'split/test_screens.txt': '54137\n99\n',
      'combined/54137.jpg': image,
      'List-of-Files-for-Each-Experiments/First-Sentence/No-Subfig/test/file_idx.json': '["f-1.png"]',
      'SciCap-Caption-All/test/f-1.json': JSON.stringify({
        '1-lowercase-and-token-and-remove-figure-index': { caption: 'loss over steps .' },
      }),
      'SciCap-No-Subfig-Img/test/f-1.png': image,
    });
    const captionsOf = async (kind: PackedSettings['kind']) => {
      const store = new MemoryStore();
      const { leftOut } = await packBenchmark(store, jobOf(files, { kind }));
      return [(await examplesOf(store)).map(({ meta }) => meta.captions.en), Object.keys(leftOut)];
    };
    expect(await captionsOf('textcaps')).toEqual([
      [['a sign', 'a red sign'], ['a bus']],
      ['its image_id names no picture'],
    ]);
    expect(await captionsOf('screen2words')).toEqual([[['page of a login', 'login screen']], ['it has no caption']]);
    expect(await captionsOf('scicap')).toEqual([[['loss over steps .']], []]);
  });
});

describe('packing that is killed', () => {
  const folders: Record<string, string | Buffer> = {};
  const filesOf = async () => {
    for (let i = 0; i < 9; i++)
      folders[`${'abc'[i % 3]}/${i}.jpg`] = i === 4 ? 'no picture' : await picture(5, 5, 20 * i);
    return made(folders);
  };
  const settings = { kind: 'image-folder', shardExamples: 2 } as const;

  it('goes on at any of its writes, with the bytes and the report of one that was not', async () => {
    const files = await filesOf();
    const whole = new MemoryStore();
    const report = await packBenchmark(whole, jobOf(files, settings));
    expect(report).toMatchObject({ examples: 8, shards: 4, classes: 3, captions: {} });
    expect(Object.keys(report.leftOut)).toEqual(['not a PNG, JPEG, WebP, GIF, AVIF or TIFF image']);
    const writes = 1 + 2 * 4 + 2;
    for (let killed = 0; killed < writes; killed++) {
      const store = new MemoryStore();
      let left = killed;
      const dying = Object.assign(Object.create(store) as MemoryStore, {
        async put(...args: Parameters<MemoryStore['put']>) {
          if (left-- === 0) throw new Error('killed');
          return store.put(...args);
        },
      });
      await expect(packBenchmark(dying, jobOf(files, settings)), `write ${killed}`).rejects.toThrow('killed');
      expect(await packBenchmark(store, jobOf(files, settings)), `write ${killed}`).toEqual(report);
      expect(Object.fromEntries(store.objects), `write ${killed}`).toEqual(Object.fromEntries(whole.objects));
    }
    // Done, it is answered without a look at the data, and what an end that was killed has left is taken away.
    await whole.put(`${to}/_benchmark/00000.json`, 'left');
    expect(await packBenchmark(whole, jobOf(made({}), settings))).toEqual(report);
    expect(whole.objects.has(`${to}/_benchmark/00000.json`)).toBe(false);
  });

  it('refuses data that have changed since, other settings, and a prefix that holds something else', async () => {
    const store = new MemoryStore();
    const files = await filesOf();
    const begun = Object.assign(Object.create(store) as MemoryStore, {
      async put(key: string, body: string) {
        if (key.endsWith('00002.tar')) throw new Error('killed');
        return store.put(key, body);
      },
    });
    await expect(packBenchmark(begun, jobOf(files, settings))).rejects.toThrow('killed');
    const { 'a/0.jpg': _, ...fewer } = folders;
    await expect(packBenchmark(store, jobOf(made(fewer), settings))).rejects.toThrow('is not what it was');
    await expect(packBenchmark(store, jobOf(files, { ...settings, split: 'a' }))).rejects.toThrow(
      'packed by other settings',
    );
    const taken = new MemoryStore();
    await taken.put(`${to}/0.tar`, 'x');
    await expect(packBenchmark(taken, jobOf(files, settings))).rejects.toThrow('holds something else, data/made/0.tar');
    await expect(
      packBenchmark(new MemoryStore(), { ...jobOf(files, settings), classes: ['one', 'two'] }),
    ).rejects.toThrow('has 3 classes, and 2 names are given');
    await expect(packBenchmark(new MemoryStore(), jobOf(made({ 'a/0.jpg': '?' }), settings))).rejects.toThrow(
      'has no example that can be used: not a PNG',
    );
  });

  it('reads a prefix of the bucket as it reads a folder', async () => {
    const store = new MemoryStore();
    await filesOf();
    for (const [name, body] of Object.entries(folders)) await store.put(`raw/set/${name}`, body);
    const ofBucket = await packBenchmark(store, jobOf(bucketFiles(store, 'raw/set'), settings));
    const ofFolder = await packBenchmark(new MemoryStore(), jobOf(made(folders), settings));
    expect(ofBucket).toEqual(ofFolder);
  });
});
