import { describe, expect, it } from 'vitest';
import { type BoxSides, keptBoxes, overlap, type Proposals, suppressed } from '../../src/annotation/boxes.ts';
import { expectations } from './expected.ts';

const logit = (score: number) => Math.log(score / (1 - score));
/** Boxes of cx, cy, w, h, each with a score for every query. */
function said(
  boxes: readonly (readonly [box: readonly number[], ...scores: number[]])[],
  seen = { width: 1, height: 1 },
): Proposals {
  return {
    logits: Float32Array.from(boxes.flatMap(([, ...scores]) => scores.map(logit))),
    count: { boxes: boxes.length, queries: boxes[0]!.length - 1 },
    boxes: Float32Array.from(boxes.flatMap(([box]) => box)),
    seen,
  };
}
const rules = { imageThreshold: 0.3, boxThreshold: 0.1, nms: 0.7, mostBoxes: 100 };
const all = { from: 9, scale: 1 };

describe('boxes that are kept', () => {
  it('have their best query each, and are above the threshold of boxes', () => {
    const { kept, counts } = keptBoxes(
      said([
        [[0.25, 0.25, 0.2, 0.3], 0.5, 0.6],
        [[0.75, 0.75, 0.2, 0.2], 0.2, 0.15],
        [[0.75, 0.25, 0.2, 0.2], 0.09, 0.05],
      ]),
      rules,
      all,
    );
    expect(kept.map(({ box, query }) => [box, query])).toEqual([
      [[0.1, 0.15, 0.4, 0.35], 1],
      [[0.65, 0.65, 0.85, 0.85], 0],
    ]);
    expect(kept.map(({ score }) => score.toFixed(4))).toEqual(['0.6000', '0.2000']);
    expect(counts).toEqual({
      ...{ proposed: 3, belowThreshold: 1, outside: 0, overlapping: 0, beyondMost: 0, unsure: 0, kept: 2 },
    });
  });

  it('are none in a picture without one that is sure', () => {
    const unsure = said([
      [[0.25, 0.25, 0.2, 0.3], 0.29],
      [[0.75, 0.75, 0.2, 0.2], 0.2],
    ]);
    expect(keptBoxes(unsure, rules, all)).toMatchObject({ kept: [], counts: { unsure: 2, kept: 0 } });
    expect(keptBoxes(unsure, { ...rules, imageThreshold: 0.28 }, all).kept).toHaveLength(2);
  });

  it('of categories count for 0.3 of their score before anything is compared', () => {
    const both = said([
      [[0.25, 0.25, 0.2, 0.3], 0.2, 0.9],
      [[0.75, 0.75, 0.2, 0.2], 0.4, 0.9],
      [[0.75, 0.25, 0.2, 0.2], 0.01, 0.3],
    ]);
    const { kept, counts } = keptBoxes(both, rules, { from: 1, scale: 0.3 });
    expect(kept.map(({ query, score }) => [query, score.toFixed(4)])).toEqual([
      [0, '0.4000'],
      [1, '0.2700'],
    ]);
    expect(counts.belowThreshold).toBe(1);
    expect(keptBoxes(both, rules, { from: 0, scale: 1 }).kept.map(({ query }) => query)).toEqual([1, 1, 1]);
  });

  it('lie within the picture, where that was padded too', () => {
    const wide = said(
      [
        [[0.5, 0.25, 0.5, 0.25], 0.9],
        [[0.5, 0.45, 0.5, 0.2], 0.8],
        [[0.5, 0.8, 0.5, 0.3], 0.7],
        [[Number.NaN, 0.2, 0.5, 0.3], 0.6],
        [[0.1, 0.1, 0.4, 0.1], Number.NaN],
      ],
      { width: 1, height: 0.5 },
    );
    const { kept, counts } = keptBoxes(wide, rules, all);
    expect(kept.map(({ box }) => box)).toEqual([
      [0.25, 0.25, 0.75, 0.75],
      [0.7, 0.25, 1, 0.75],
    ]);
    expect(counts).toMatchObject({ outside: 2, belowThreshold: 1 });
  });

  it('are the best ones, and say how many others there were', () => {
    const many = said(Array.from({ length: 9 }, (_, i) => [[0.1 + i * 0.1, 0.5, 0.05, 0.05], 0.4 + i / 100]));
    const { kept, counts } = keptBoxes(many, { ...rules, mostBoxes: 2 }, all);
    expect(kept.map(({ score }) => score.toFixed(2))).toEqual(['0.48', '0.47']);
    expect(counts.beyondMost).toBe(7);
  });

  it.each([0.3, 0.5, 0.7])('after suppression at %f are those of torchvision', async (most) => {
    const { floats, ints } = await expectations();
    const [boxes, scores] = [await floats('nms.boxes'), await floats('nms.scores')];
    const sorted = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]!);
    const given = sorted.map((i) => ({
      // left, top, right, bottom there.
      box: [1, 0, 3, 2].map((side) => boxes[4 * i + side]!) as unknown as BoxSides,
      ...{ score: scores[i]!, query: i },
    }));
    const { kept, overlapping } = suppressed(given, most, 1000);
    expect(kept.map(({ query }) => query)).toEqual([...(await ints(`nms.${most}`))]);
    expect(kept.length + overlapping).toBe(200);
    expect(suppressed(given, 1, 1000).kept).toHaveLength(200);
  });

  it('overlap as areas counted cell by cell say', () => {
    const cells = (a: readonly number[], b: readonly number[]) => {
      let [both, either] = [0, 0];
      const within = ([top, left, bottom, right]: readonly number[], y: number, x: number) =>
        y >= top! && y < bottom! && x >= left! && x < right!;
      for (let y = 0; y < 12; y++)
        for (let x = 0; x < 12; x++) {
          if (within(a, y, x) && within(b, y, x)) both++;
          if (within(a, y, x) || within(b, y, x)) either++;
        }
      return both / either;
    };
    for (const [a, b] of [
      [
        [0, 0, 6, 6],
        [3, 3, 9, 9],
      ],
      [
        [0, 0, 6, 6],
        [6, 0, 9, 9],
      ],
      [
        [2, 2, 4, 4],
        [0, 0, 12, 12],
      ],
      [
        [1, 2, 3, 12],
        [1, 2, 3, 12],
      ],
    ] as const)
      expect(overlap(a as BoxSides, b as BoxSides)).toBeCloseTo(cells(a, b), 12);
  });
});
