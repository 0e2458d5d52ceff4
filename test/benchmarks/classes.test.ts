import { describe, expect, it } from 'vitest';
import { openClipBenchmark } from '../../src/benchmarks/clip-benchmark.ts';
import { bucketFiles } from '../../src/benchmarks/files.ts';
import { openImageFolder } from '../../src/benchmarks/image-folder.ts';
import { readNpy } from '../../src/benchmarks/npy.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { allOf, bytesOf, fixture, folders, tarOf } from './data-set.ts';

const made = folders();

describe('the layout of CLIP_benchmark and datacomp', () => {
  const listed = {
    'classnames.txt': 'cat\n\ndog\n',
    'zeroshot_classification_templates.txt': 'a photo of a {c}.\r\na {}\n',
  };

  it('gives pictures with their classes over all shards, names and templates; what can not be used is named', async () => {
    const files = made({
      ...listed,
      'test/nshards.txt': '2\n',
      'test/0.tar': await tarOf({ 's0.webp': 'P0', 's0.cls': '0', 's1.cls': '2\n', 's1.jpg': 'P1', 's2.cls': '1' }),
      'test/1.tar': await tarOf({
        'a.b/s0.png': 'P2',
        'a.b/s0.cls': '3',
        's4.png': 'x',
        's4.cls': 'dog',
        's5.PNG': 'y',
        's6.jpg': 'z',
      }),
    });
    const benchmark = await openClipBenchmark(files);
    expect(benchmark.classes).toEqual(['cat', '', 'dog']);
    expect(benchmark.templates).toEqual(['a photo of a {c}.']);
    expect(benchmark.notes).toEqual(['class 1 has no name', 'template 2 has no {c}, and is left out']);
    const { examples, faults } = await allOf(benchmark);
    expect(examples).toEqual([
      { name: 'test/0.tar/s0', picture: { bytes: Buffer.from('P0') }, labels: [0] },
      { name: 'test/0.tar/s1', picture: { bytes: Buffer.from('P1') }, labels: [2] },
    ]);
    expect(faults).toEqual([
      { name: 'test/0.tar/s2', fault: 'it has no picture; allowed: webp, png, jpg, jpeg' },
      { name: 'test/1.tar/a.b/s0', fault: 'its class is 3, and classnames.txt has 3 names' },
      { name: 'test/1.tar/s4', fault: 'its .cls is "dog", and has to be a number from 0' },
      { name: 'test/1.tar/s5', fault: 'it has no .cls' },
      { name: 'test/1.tar/s6', fault: 'it has no .cls' },
    ]);
  });

  it('gives all captions of a picture, a line each, from a bucket as from a folder', async () => {
    const store = new MemoryStore();
    const shard = await tarOf({
      '0.jpg': 'P',
      '0.txt': 'a cat\r\na tabby \n\n',
      '1.jpg': 'Q',
      '1.txt': ' \n',
      '2.jpg': 'R',
    });
    await store.put('wds/coco/dataset_type.txt', 'Retrieval\n');
    await store.put('wds/coco/test/nshards.txt', '1');
    await store.put('wds/coco/test/0.tar', shard);
    const benchmark = await openClipBenchmark(bucketFiles(store, 'wds/coco'));
    expect(benchmark).toMatchObject({ classes: null, templates: null, notes: [] });
    const { examples, faults } = await allOf(benchmark);
    expect(examples.map(({ captions }) => captions)).toEqual([{ en: ['a cat', 'a tabby '] }]);
    expect(faults.map(({ fault }) => fault)).toEqual(['its .txt has no caption', 'it has no .txt']);
  });

  it('gives several classes of a picture where .npy says them', async () => {
    const files = made({
      'dataset_type.txt': 'multilabel',
      'classnames.txt': 'a\nb\nc\nd\ne\n',
      'test/nshards.txt': '1',
      'test/0.tar': await tarOf({
        '0.jpg': 'P',
        '0.npy': bytesOf(fixture.npy.f4),
        '1.jpg': 'P',
        '1.npy': bytesOf(fixture.npy_table),
        '2.jpg': 'P',
        '2.npy': bytesOf(fixture.npy_objects),
      }),
    });
    const { examples, faults } = await allOf(await openClipBenchmark(files));
    expect(examples.map(({ labels }) => labels)).toEqual([[1, 3, 4]]);
    expect(faults.map(({ fault }) => fault)).toEqual([
      'its .npy has the shape (2, 3), and has to be one row',
      'the .npy file has |O; allowed: |b1, |u1, |i1, <u2, <i2, <u4, <i4, <i8, <u8, <f4, <f8',
    ]);
  });

  it('says where a shard breaks off, and what is not there', async () => {
    const whole = await tarOf({ '0.jpg': 'P'.repeat(3000), '0.cls': '0' });
    const files = made({
      ...listed,
      'test/nshards.txt': '1',
      'test/0.tar': whole.subarray(0, 1500),
      'train/nshards.txt': 'two',
    });
    await expect(allOf(await openClipBenchmark(files))).rejects.toThrow(
      /test\/0\.tar is no whole tar behind member \d: .*; fetch it again/,
    );
    await expect(openClipBenchmark(files, 'train')).rejects.toThrow(
      'train/nshards.txt has to say how many shards there are',
    );
    await expect(openClipBenchmark(files, 'val')).rejects.toThrow(
      'val/nshards.txt is not there; is this the folder of the data set?',
    );
    await expect(openClipBenchmark(files, '../x')).rejects.toThrow('names no file within the data set');
  });
});

describe('.npy files', () => {
  it('of every kind of number give the same, and what is none is named', () => {
    for (const [kind, base64] of Object.entries(fixture.npy))
      expect(readNpy(bytesOf(base64 as string)), kind).toEqual({ shape: [5], values: Float64Array.of(0, 1, 0, 1, 1) });
    expect(readNpy(bytesOf(fixture.npy_table))).toEqual({ shape: [2, 3], values: Float64Array.of(0, 1, 2, 3, 4, 5) });
    expect(readNpy(bytesOf(fixture.npy_columns))).toEqual({ fault: 'the .npy file is by columns; save it by rows' });
    expect(readNpy(Buffer.from('PK'))).toEqual({ fault: 'it is no .npy file' });
    const cut = bytesOf(fixture.npy.f8).subarray(0, -3);
    expect(readNpy(cut)).toEqual({ fault: 'the .npy file has 37 bytes of numbers, and 40 are needed' });
  });
});

describe("ImageNet's folders", () => {
  const tree = {
    'val/n02/b.JPEG': 'P',
    'val/n01/a.jpg': 'P',
    'val/n01/notes.txt': 'x',
    'val/c.jpg': 'P',
    'val/n01/d/e.png': 'P',
  };

  it('are classes in the order of their names; pictures of none are named', async () => {
    const benchmark = await openImageFolder(made(tree), { below: 'val' });
    expect(benchmark.classes).toEqual(['n01', 'n02']);
    const { examples, faults } = await allOf(benchmark);
    expect(examples).toEqual([
      { name: 'val/n01/a.jpg', picture: { file: 'val/n01/a.jpg' }, labels: [0] },
      { name: 'val/n01/d/e.png', picture: { file: 'val/n01/d/e.png' }, labels: [0] },
      { name: 'val/n02/b.JPEG', picture: { file: 'val/n02/b.JPEG' }, labels: [1] },
    ]);
    expect(faults).toEqual([
      { name: 'val/c.jpg', fault: 'it lies in no folder of a class' },
      { name: 'val/n01/notes.txt', fault: 'it is no picture' },
    ]);
  });

  it('may be classes in an order that is given, and then others are none', async () => {
    const { examples, faults } = await allOf(
      await openImageFolder(made(tree), { below: 'val', folders: ['n02', 'n07'] }),
    );
    expect(examples.map(({ labels }) => labels)).toEqual([[0]]);
    expect(faults.map(({ fault }) => fault)).toContain('its folder n01 is none of the 2 classes');
    await expect(openImageFolder(made({ 'a.jpg': 'P' }))).rejects.toThrow(
      'has no folder with pictures; needed: one a class',
    );
  });
});
