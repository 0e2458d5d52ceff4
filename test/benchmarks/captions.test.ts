import { describe, expect, it } from 'vitest';
import { openKarpathy, openXm3600 } from '../../src/benchmarks/captions.ts';
import { combinedTraining, openRefCoco, readReferences } from '../../src/benchmarks/refcoco.ts';
import { allOf, bytesOf, fixture, folders } from './data-set.ts';

const made = folders();

describe("Karpathy's splits", () => {
  const table = {
    dataset: 'coco',
    images: [
      {
        filepath: 'val2014',
        filename: 'a.jpg',
        split: 'test',
        sentences: [{ raw: 'A cat.' }, { raw: 'A tabby.' }, { raw: ' ' }],
      },
      { filepath: 'val2014', filename: 'b.jpg', split: 'val', sentences: [{ raw: 'A dog.' }] },
      { filename: 'c.jpg', split: 'test', sentences: [] },
      { filepath: '../..', filename: 'd.jpg', split: 'test', sentences: [{ raw: 'x' }] },
      { split: 'test', sentences: [{ raw: 'x' }] },
    ],
  };

  it('give all captions of the pictures of one split, and name those that have none', async () => {
    const files = made({ 'dataset_coco.json': JSON.stringify(table) });
    const { examples, faults } = await allOf(openKarpathy(files, { table: 'dataset_coco.json', pictures: 'images' }));
    expect(examples).toEqual([
      { name: 'val2014/a.jpg', picture: { file: 'images/val2014/a.jpg' }, captions: { en: ['A cat.', 'A tabby.'] } },
    ]);
    expect(faults.map(({ name, fault }) => `${name}: ${fault}`)).toEqual([
      'dataset_coco.json image 3: c.jpg has no caption',
      'dataset_coco.json image 4: it names no picture within the data set',
      'dataset_coco.json image 5: it names no picture within the data set',
    ]);
  });

  it('that break off, or are not there, are an error', async () => {
    const files = made({ 'a.json': JSON.stringify(table).slice(0, 300) });
    await expect(allOf(openKarpathy(files, { table: 'a.json' }))).rejects.toThrow('it is no whole JSON of Karpathy');
    await expect(allOf(openKarpathy(files, { table: 'b.json' }))).rejects.toThrow('b.json is not there');
  });
});

describe('XM3600', () => {
  it('gives captions by language, and names what a language lacks', async () => {
    const line = (key: string, of: object) => `${JSON.stringify({ 'image/key': key, 'image/locale': 'de', ...of })}\n`;
    const files = made({
      'captions.jsonl': [
        line('k1', { en: { caption: ['a cat', 'a tabby'] }, de: { caption: ['eine Katze'] } }),
        line('k2', { en: { caption: ['a dog'] } }),
        line('k3', { en: { caption: ['x'] } }),
        line('../k', { en: { caption: ['x'] } }),
        'no JSON\n',
      ].join(''),
      'images/k1.jpg': 'P',
      'images/k2.jpg': 'P',
    });
    const { examples, faults } = await allOf(openXm3600(files, { languages: ['en', 'de'] }));
    expect(examples).toEqual([
      { name: 'k1', picture: { file: 'images/k1.jpg' }, captions: { en: ['a cat', 'a tabby'], de: ['eine Katze'] } },
      { name: 'k2', picture: { file: 'images/k2.jpg' }, captions: { en: ['a dog'] } },
    ]);
    expect(faults.map(({ name, fault }) => `${name}: ${fault}`)).toEqual([
      'k2: it has no caption in de',
      'k3: images/k3.jpg is not there',
      '../k: its image/key names no picture',
      "captions.jsonl line 5: the line can't be read: it is not JSON",
    ]);
  });
});

describe('RefCOCO', () => {
  const instances = {
    images: [
      { id: 11, file_name: 'COCO_train2014_000000000011.jpg' },
      { id: 12, file_name: 'COCO_train2014_000000000012.jpg' },
    ],
    annotations: [
      { id: 101, image_id: 11, bbox: [10, 20.5, 30, 40], segmentation: [[1, 2]] },
      { id: 102, image_id: 12, bbox: [0, 0, 5, 5] },
      { id: 103, image_id: 11, bbox: [0, 0, 0, 5] },
    ],
    categories: [],
  };
  const files = () =>
    made({ 'refs(unc).p': bytesOf(fixture.pickles['0']), 'instances.json': JSON.stringify(instances) });
  const settings = { references: 'refs(unc).p', pictures: 'images/train2014' };

  it('gives every sentence of a box, and names references without a box or sentence', async () => {
    const { examples, faults } = await allOf(await openRefCoco(files(), { ...settings, split: 'val' }));
    expect(examples).toEqual([
      {
        name: 'image 11',
        picture: { file: 'images/train2014/COCO_train2014_000000000011.jpg' },
        pointing: [{ expressions: ['the left cat', "it's the café's"], box: [10, 20.5, 30, 40] }],
      },
    ]);
    expect(faults).toEqual([
      { name: 'ref 10', fault: 'annotation 999 has no box in instances.json' },
      { name: 'ref 11', fault: 'it has no sentence' },
    ]);
    const train = await allOf(await openRefCoco(files(), { ...settings, split: 'train' }));
    expect(train.examples.map(({ name }) => name)).toEqual(['image 12']);
    expect(train.faults).toEqual([{ name: 'ref 9', fault: 'annotation 103 has no box in instances.json' }]);
  });

  it('is trained on without the pictures of any other split', async () => {
    const all = await readReferences(files(), 'refs(unc).p');
    expect(combinedTraining([all]).map(({ name }) => name)).toEqual([]);
    const other = all.filter((one) => 'fault' in one || one.name !== 'ref 10');
    // Picture 11 is in val too; picture 12 is not.
    expect(combinedTraining([other]).map(({ name }) => name)).toEqual(['ref 8']);
  });

  it('with another split, another pickle or a table that breaks off is an error that says so', async () => {
    await expect(openRefCoco(files(), { ...settings, split: 'testA' })).rejects.toThrow(
      'has no split "testA"; it has: train, val',
    );
    const evil = made({ 'refs(unc).p': bytesOf(fixture.evil['2']), 'instances.json': '{}' });
    await expect(openRefCoco(evil, { ...settings, split: 'val' })).rejects.toThrow(
      'refs(unc).p: the pickle asks for code to be run',
    );
    const cut = made({
      'refs(unc).p': bytesOf(fixture.pickles['2']),
      'instances.json': JSON.stringify(instances).slice(0, 200),
    });
    await expect(openRefCoco(cut, { ...settings, split: 'val' })).rejects.toThrow(
      /instances\.json breaks off after \d of "annotations"/,
    );
  });
});
