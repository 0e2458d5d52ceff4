import { type Box, boxIou } from './boxes.ts';

/** A box that is there. */
export interface TrueBox {
  readonly category: number;
  readonly box: Box;
  /** As the annotation has it: of the mask in COCO and LVIS, not of the box. It decides small, medium or large. */
  readonly area: number;
  /** A region of many (COCO's `iscrowd`): what lies in it is neither right nor wrong. */
  readonly crowd?: boolean;
}

export interface FoundBox {
  readonly category: number;
  readonly box: Box;
  readonly score: number;
}

/** COCO's thresholds and points of recall as NumPy's linspace makes them: 0.05 times i is another number than i / 20. */
export const thresholds = Array.from({ length: 10 }, (_, i) => (i === 9 ? 0.95 : 0.5 + i * ((0.95 - 0.5) / 9)));
export const recallPoints = Array.from({ length: 101 }, (_, i) => (i === 100 ? 1 : i * 0.01));

/** Areas in square pixels, of boxes from the first to the second, both included. */
export const areas = {
  all: [0, 1e10],
  small: [0, 32 ** 2],
  medium: [32 ** 2, 96 ** 2],
  large: [96 ** 2, 1e10],
} as const;
export const areaNames = Object.keys(areas) as (keyof typeof areas)[];

/** Of one picture and category, within an area. */
export interface Matches {
  /** Of each found box, bit t: it is right at threshold t. */
  readonly right: Int32Array;
  /** Bit t: it counts neither as right nor as wrong. */
  readonly passed: Int32Array;
  /** True boxes that count. */
  readonly truths: number;
}

/**
 * COCO's greedy matching (cocoeval.py, evaluateImg): from the best score on each box takes the free true one with the highest
 * IoU of at least the threshold, one that counts before one that doesn't; of equal ones the last. `found` must be sorted.
 * `lenient`: boxes without a match count for nothing (LVIS, where a category was not looked for exhaustively).
 */
export function matchBoxes(
  truths: readonly TrueBox[],
  found: readonly FoundBox[],
  ious: Float64Array,
  [least, most]: readonly [number, number],
  lenient: boolean,
): Matches {
  const outside = (area: number) => area < least || area > most;
  const ignored = truths.map(({ area, crowd }) => crowd === true || outside(area));
  const order = [...truths.keys()].sort((a, b) => Number(ignored[a]) - Number(ignored[b]) || a - b);
  const right = new Int32Array(found.length);
  const passed = new Int32Array(found.length);
  for (const [t, threshold] of thresholds.entries()) {
    const taken = new Uint8Array(truths.length);
    for (const [d, { box }] of found.entries()) {
      let best = Math.min(threshold, 1 - 1e-10);
      let match = -1;
      for (const g of order) {
        if (taken[g] && !truths[g]!.crowd) continue;
        if (match >= 0 && !ignored[match] && ignored[g]) break;
        const iou = ious[d * truths.length + g]!;
        if (iou < best) continue;
        best = iou;
        match = g;
      }
      if (match >= 0) {
        taken[match] = 1;
        if (ignored[match]) passed[d]! |= 1 << t;
        else right[d]! |= 1 << t;
      } else if (lenient || outside(box[2] * box[3])) passed[d]! |= 1 << t;
    }
  }
  return { right, passed, truths: ignored.filter((is) => !is).length };
}

/** (found, truths) */
export function iousOf(truths: readonly TrueBox[], found: readonly FoundBox[]): Float64Array {
  const ious = new Float64Array(found.length * truths.length);
  for (const [d, { box }] of found.entries())
    for (const [g, { box: is, crowd }] of truths.entries()) ious[d * truths.length + g] = boxIou(box, is, crowd);
  return ious;
}
