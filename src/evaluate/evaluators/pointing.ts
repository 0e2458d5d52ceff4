import { boxIou, type Pointing, referring } from '../../metrics/boxes.ts';
import { figuresOf } from '../../metrics/figure.ts';
import { evenly } from '../../runtime/evenly.ts';
import { boxIn } from '../decoder/asking.ts';
import { type Found, mostShown, type ShownBoxes } from './contract.ts';
import type { Answered } from './said-of.ts';

/**
 * The figures of referring expressions that were answered by boxes in words. Boxes count in shares of the sides: an overlap
 * over a union is the same in pixels.
 */
export function pointingFigures(answered: readonly Answered[]): Pick<Found, 'figures' | 'outcomes' | 'shown'> {
  const pointings = answered.map(({ name, region, answer }): Pointing => {
    const [box, truth] = [boxIn(answer), region.box];
    return { name, predicted: box && cocoBox(box), truth: cocoBox(truth) };
  });
  const ious = Float32Array.from(pointings, ({ predicted, truth }) => (predicted ? boxIou(predicted, truth) : 0));
  const pictures = Int32Array.from(answered, ({ picture }) => picture);
  const told = figuresOf(referring(), pointings).flatMap(({ name, value }) => (value === null ? [] : [[name, value]]));
  return {
    figures: {
      expressions: answered.length,
      pictures: new Set(pictures).size,
      without_box: 0,
      ...Object.fromEntries(told),
    },
    outcomes: {
      'acc@0.5': {
        values: Float32Array.from(pointings, ({ predicted, truth }) =>
          predicted && boxIou(predicted, truth) >= 0.5 ? 1 : 0,
        ),
        pictures,
      },
      IoU: { values: ious, pictures },
    },
    shown: shownOf(answered),
  };
}

/** Some pictures, evenly spread over those that have expressions. */
function shownOf(answered: readonly Answered[]): ShownBoxes[] {
  const pictures = [...new Set(answered.map(({ picture }) => picture))];
  return evenly(pictures, mostShown.pictures).map((picture) => {
    const own = answered.filter((one) => one.picture === picture).slice(0, mostShown.boxes);
    const { shard, member: name } = own[0]!;
    const boxes = own.map(({ region, answer }) => ({
      text: region.caption,
      truth: region.box,
      found: boxIn(answer),
    }));
    return { shard, name, boxes };
  });
}

/** What a fingerprint says of boxes in words. */
export const boxesInWords = 'whole numbers of 0 to 500, top left bottom right; anything else is a miss';

/** [top, left, bottom, right] as COCO has boxes. */
const cocoBox = ([top, left, bottom, right]: readonly [number, number, number, number]) =>
  [left, top, right - left, bottom - top] as const;
