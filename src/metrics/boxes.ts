import { type Figure, finite, type Metric, ratio, refuse } from './figure.ts';

/** x and y of the upper left corner, width, height: as COCO has them, in any one unit. */
export type Box = readonly [number, number, number, number];

/** Area of what two boxes share over that of both; over that of the first alone where the second is a crowd (COCO). */
export function boxIou([x, y, width, height]: Box, [u, v, w, h]: Box, crowd = false): number {
  const across = Math.min(x + width, u + w) - Math.max(x, u);
  const down = Math.min(y + height, v + h) - Math.max(y, v);
  if (across <= 0 || down <= 0) return 0;
  const shared = across * down;
  return shared / (crowd ? width * height : width * height + w * h - shared);
}

/** Where an expression points at, by a model and in truth. */
export interface Pointing {
  readonly name: string;
  /** Null where the model named no box: a miss. */
  readonly predicted: Box | null;
  readonly truth: Box;
}

const bounds = [0.1, 0.3, 0.5, 0.7, 0.9];

/**
 * Referring expressions: mean `IoU`, `acc@t` with an IoU of at least t (lichengunc/refer, LocCa), `center_acc` with the centre
 * inside the true box (lmms-eval's name). Every expression counts: several of one picture are several, which one tool forgot
 * (Vision-CAIR/MiniGPT-4#423), and intervals are by picture.
 */
export function referring(): Metric<Pointing> {
  const [n, iou, centre, none, at] = [0, 1, 2, 3, 4];
  return {
    width: at + bounds.length,
    tally({ name, predicted, truth }, sums) {
      finite(name, 'the true box', truth);
      if (!(truth[2] > 0 && truth[3] > 0)) refuse(name, `its true box ${JSON.stringify(truth)} has no area`);
      if (predicted) finite(name, 'the predicted box', predicted);
      sums[n]!++;
      if (!predicted) {
        sums[none]!++;
        return;
      }
      const found = boxIou(predicted, truth);
      sums[iou]! += found;
      const [x, y] = [predicted[0] + predicted[2] / 2, predicted[1] + predicted[3] / 2];
      if (x >= truth[0] && x <= truth[0] + truth[2] && y >= truth[1] && y <= truth[1] + truth[3]) sums[centre]!++;
      for (const [k, bound] of bounds.entries()) if (found >= bound) sums[at + k]!++;
    },
    figures(sums) {
      const of = sums[n]!;
      const figure = (name: string, i: number): Figure => ({ name, value: ratio(sums[i]!, of), of });
      return [
        figure('IoU', iou),
        ...bounds.map((bound, k) => figure(`acc@${bound}`, at + k)),
        figure('center_acc', centre),
        ...(sums[none]! > 0 ? [{ name: 'without_box', value: sums[none]!, of }] : []),
      ];
    },
  };
}
