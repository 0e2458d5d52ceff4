import { describe, expect, it } from 'vitest';
import { openDetection } from '../../src/benchmarks/detection.ts';
import { Detection } from '../../src/metrics/detection.ts';
import { expectFigures, load } from '../metrics/fixtures/load.ts';
import { allOf, folders } from './data-set.ts';

const made = folders();

interface Found {
  image_id: number;
  category_id: number;
  bbox: [number, number, number, number];
  score: number;
}
const fixture = load('detection');
const document = (of: { lvis: boolean }) => ({
  images: fixture.images
    .map((image: { id: number }) => ({
      ...image,
      ...(of.lvis
        ? { coco_url: `http://images.cocodataset.org/val2017/${image.id}.jpg` }
        : { file_name: `${image.id}.jpg` }),
    }))
    .reverse(),
  annotations: fixture.truths.map((one: object, i: number) => ({
    id: i,
    ...one,
    ...(of.lvis && { iscrowd: 0 }),
    segmentation: [[1, 2, 3]],
  })),
  categories: fixture.frequencies.map((frequency: string, i: number) => ({
    id: i + 1,
    name: `thing ${i}`,
    ...(of.lvis && { frequency }),
  })),
});

describe.each([
  { rules: 'coco', lvis: false },
  { rules: 'lvis', lvis: true },
] as const)('boxes of $rules', ({ rules, lvis }) => {
  it('are those that the tools count: from the file to the figures', async () => {
    const files = made({ 'instances.json': JSON.stringify(document({ lvis })) });
    const benchmark = await openDetection(files, 'instances.json', 'images');
    expect(benchmark.settings.rules).toBe(rules);
    const { examples, faults } = await allOf(benchmark);
    expect(faults).toEqual([]);
    expect(examples[0]!.picture).toEqual({ file: lvis ? 'images/val2017/1.jpg' : 'images/1.jpg' });
    const detection = new Detection(benchmark.settings);
    for (const { name, truths, negative, notExhaustive } of examples) {
      const found = (fixture.found as Found[])
        .filter(({ image_id }) => String(image_id) === name)
        .map(({ category_id: category, bbox: box, score }) => ({ category, box, score }));
      detection.add({
        name,
        truths: truths!,
        found,
        ...(negative && { negative }),
        ...(notExhaustive && { notExhaustive }),
      });
    }
    expectFigures(detection.figures(), fixture[rules]);
  });
});

describe('boxes that can not be used', () => {
  it('are named, and so are pictures without a name', async () => {
    const files = made({
      'a.json': JSON.stringify({
        images: [{ id: 2, file_name: '../x.jpg' }, { id: 1, file_name: 'a.jpg' }, { file_name: 'b.jpg' }],
        annotations: [
          { id: 5, image_id: 1, category_id: 9, bbox: [0, 0, 1, 1] },
          { id: 6, image_id: 1, category_id: 1, bbox: [0, 0, 0, 1] },
          { id: 7, category_id: 1, bbox: [0, 0, 1, 1] },
          { id: 8, image_id: 1, category_id: 1, bbox: [0, 0, 2, 3], iscrowd: 1 },
        ],
        categories: [{ id: 1, name: 'cat' }],
      }),
    });
    const { examples, faults } = await allOf(await openDetection(files, 'a.json', 'p'));
    expect(examples).toEqual([
      { name: '1', picture: { file: 'p/a.jpg' }, truths: [{ category: 1, box: [0, 0, 2, 3], area: 6, crowd: true }] },
    ]);
    expect(faults.map(({ name, fault }) => `${name}: ${fault}`)).toEqual([
      'b.jpg: it has no id',
      'annotation 5: its category_id is none of the categories',
      'annotation 6: its bbox has no area',
      'annotation 7: it has no image_id',
      '2: it has no file_name within the data set, and no coco_url',
    ]);
    const half = made({
      'a.json':
        '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat", "frequency": "r"}, {"id": 2, "name": "dog"}]}',
    });
    await expect(openDetection(half, 'a.json', 'p')).rejects.toThrow(
      'a.json says of 1 of 2 categories how frequent they are',
    );
  });
});
