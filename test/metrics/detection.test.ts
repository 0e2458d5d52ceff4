import { describe, expect, it } from 'vitest';
import { type Box, boxIou, referring } from '../../src/metrics/boxes.ts';
import { Detection, type DetectionImage, type DetectionSettings, type Frequency } from '../../src/metrics/detection.ts';
import { figuresOf } from '../../src/metrics/figure.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { expectFigures, load, valueIn } from './fixtures/load.ts';

interface Annotation {
  image_id: number;
  category_id: number;
  bbox: Box;
  area: number;
  iscrowd: number;
  score: number;
}
const fixture = load('detection') as {
  images: { id: number; neg_category_ids: number[]; not_exhaustive_category_ids: number[] }[];
  truths: Annotation[];
  found: Annotation[];
  frequencies: Frequency[];
  coco: Record<string, Record<string, number>>;
  lvis: Record<string, Record<string, number>>;
  iou: Record<string, number[]> & { a: Box[]; b: Box[] };
};
const of = (boxes: readonly Annotation[], image: number) =>
  boxes
    .filter((one) => one.image_id === image)
    .map(({ category_id: category, bbox: box, area, iscrowd, score }) => ({
      category,
      box,
      area,
      crowd: iscrowd === 1,
      score,
    }));
const images: DetectionImage[] = fixture.images.map(({ id, neg_category_ids, not_exhaustive_category_ids }) => ({
  name: `${id}`,
  truths: of(fixture.truths, id),
  found: of(fixture.found, id),
  negative: neg_category_ids,
  notExhaustive: not_exhaustive_category_ids,
}));
const categories = fixture.frequencies.map((_, i) => i + 1);
const detect = (settings: DetectionSettings, all: readonly DetectionImage[]) => {
  const detection = new Detection(settings);
  for (const image of all) detection.add(image);
  return detection.figures();
};
const box = (category: number, score = 0.5) => ({ category, box: [0, 0, 10, 10] as const, area: 100, score });

describe('detection', () => {
  it('by the rules of COCO is that of pycocotools, faster-coco-eval and hotcoco, with crowds, ties and all sizes', () => {
    expectFigures(detect({ rules: 'coco', categories }, images), fixture.coco);
    expect(Object.keys(fixture.coco.pycocotools!)).toHaveLength(12);
  });

  it('by the rules of LVIS is that of lvis and hotcoco: what was not looked for is neither right nor wrong', () => {
    const frequencies = new Map(fixture.frequencies.map((frequency, i) => [i + 1, frequency]));
    const withoutCrowds = images.map((image) => ({
      ...image,
      truths: image.truths.map((one) => ({ ...one, crowd: false })),
    }));
    expectFigures(detect({ rules: 'lvis', categories: frequencies }, withoutCrowds), fixture.lvis);
    expect(Object.keys(fixture.lvis.lvis!)).toHaveLength(13);
  });

  it('of nothing is null, of no box found 0, and of an oracle 1', () => {
    const coco = { rules: 'coco', categories: [1, 2] } as const;
    expect(detect(coco, []).every(({ value }) => value === null)).toBe(true);
    const only = { name: 'a', truths: [], found: [box(1)] };
    expect(detect(coco, [only]).every(({ value }) => value === null)).toBe(true);
    const missed = detect(coco, [{ name: 'a', truths: [box(1)], found: [] }]);
    expect([valueIn(missed, 'AP'), valueIn(missed, 'AR@100'), valueIn(missed, 'APl')]).toEqual([0, 0, null]);
    const oracle = detect(coco, [{ name: 'a', truths: [box(1)], found: [box(1)] }]);
    expect([valueIn(oracle, 'AP'), valueIn(oracle, 'APs'), valueIn(oracle, 'AR@1')].map((x) => x!.toFixed(9))).toEqual(
      Array.from({ length: 3 }, () => '1.000000000'),
    );
    expect(oracle[0]!.of).toBe(1);
  });

  it('takes 100 boxes of a picture and category, and 300 of a picture in LVIS: the right one behind them is not found', () => {
    const wrong = Array.from({ length: 300 }, () => ({ category: 1, box: [500, 500, 5, 5] as const, score: 0.9 }));
    const image = (n: number) => ({ name: 'a', truths: [box(1)], found: [...wrong.slice(0, n), box(1)] });
    const recall = (settings: DetectionSettings, n: number, name: string) =>
      valueIn(detect(settings, [image(n)]), name);
    expect(recall({ rules: 'coco', categories: [1] }, 99, 'AR@100')).toBe(1);
    expect(recall({ rules: 'coco', categories: [1] }, 100, 'AR@100')).toBe(0);
    expect(recall({ rules: 'lvis', categories: new Map([[1, 'r']]) }, 299, 'AR@300')).toBe(1);
    expect(recall({ rules: 'lvis', categories: new Map([[1, 'r']]) }, 300, 'AR@300')).toBe(0);
  });

  it('refuses NaN and categories that are not counted', () => {
    const add = (found: DetectionImage['found']) => () =>
      detect({ rules: 'coco', categories: [1] }, [{ name: 'a.jpg', truths: [], found }]);
    expect(add([box(1, Number.NaN)])).toThrow('"a.jpg" can\'t be counted: a box: 1 of 5 values are not finite');
    expect(add([box(2)])).toThrow('category 2 is none of those that are counted');
  });

  it('of 200 pictures with 100 boxes in 80 categories, a 25th of COCO, takes less than 3 s of one core', () => {
    const stream = randomStream(4, 'boxes');
    const drawn = (n: number) =>
      Array.from({ length: n }, () => {
        const [x, y, w, h] = [
          stream.below(400),
          stream.below(400),
          5 + stream.below(200),
          5 + stream.below(200),
        ] as const;
        return { category: stream.below(80), box: [x, y, w, h] as const, area: w * h, score: stream.next() };
      });
    const many = Array.from({ length: 200 }, (_, i) => ({ name: `${i}`, truths: drawn(7), found: drawn(100) }));
    const started = process.cpuUsage();
    const found = detect({ rules: 'coco', categories: Array.from({ length: 80 }, (_, i) => i) }, many);
    const { user, system } = process.cpuUsage(started);
    expect((user + system) / 1e6).toBeLessThan(3);
    expect(valueIn(found, 'AP50')).toBeLessThan(0.05);
    expect(valueIn(found, 'AR@100')).toBeGreaterThan(0);
  });
});

describe('boxes', () => {
  it('share what pycocotools and faster-coco-eval say they do, crowds too', () => {
    const { a, b, pycocotools, 'faster-coco-eval': faster, crowd } = fixture.iou;
    for (const [i, first] of a.entries()) {
      expect(boxIou(first, b[i]!)).toBeCloseTo(pycocotools![i]!, 9);
      expect(boxIou(first, b[i]!)).toBeCloseTo(faster![i]!, 9);
      expect(boxIou(first, b[i]!, true)).toBeCloseTo(crowd![i]!, 9);
    }
    expect(boxIou([0, 0, 0, 0], [0, 0, 0, 0])).toBe(0);
    expect(boxIou([0, 0, 4, 4], [4, 0, 4, 4])).toBe(0);
  });

  it('that expressions point at are right from an IoU of one half on, and an answer without a box is a miss', () => {
    const truth = [0, 0, 4, 4] as const;
    const found = figuresOf(referring(), [
      { name: 'a', predicted: truth, truth },
      { name: 'b', predicted: [0, 0, 4, 2], truth },
      { name: 'c', predicted: [0, 0, 4, 1.9], truth },
      { name: 'd', predicted: null, truth },
    ]);
    expect(found.map(({ name, value }) => [name, value])).toEqual([
      ['IoU', (1 + 0.5 + 7.6 / 16) / 4],
      ['acc@0.1', 0.75],
      ['acc@0.3', 0.75],
      ['acc@0.5', 0.5],
      ['acc@0.7', 0.25],
      ['acc@0.9', 0.25],
      ['center_acc', 0.75],
      ['without_box', 1],
    ]);
    expect(() => figuresOf(referring(), [{ name: 'e', predicted: truth, truth: [0, 0, 0, 4] }])).toThrow(
      'its true box [0,0,0,4] has no area',
    );
    expect(() => figuresOf(referring(), [{ name: 'e', predicted: [0, Number.NaN, 1, 1], truth }])).toThrow(
      'not finite',
    );
  });
});
