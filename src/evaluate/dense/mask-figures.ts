import { labelsAt } from '../../metrics/mask-labels.ts';
import { segmentation } from '../../metrics/segmentation.ts';
import type { Figures, Found } from '../evaluators/contract.ts';
import type { DensePicture } from './pictures.ts';
import { Tallied } from './tallied.ts';

/** What a fingerprint says of the size at which masks are compared: one model has an mIoU of 41.8 or 47.7 by it. */
export const maskResolution = 'own size of each mask, scores brought to it bilinearly';

/** Figures of masks, from scores of patches. */
export class MaskFigures {
  readonly #classes: number;
  readonly #tallied: Tallied<Parameters<ReturnType<typeof segmentation>['tally']>[0]>;

  constructor(classes: number) {
    this.#classes = classes;
    this.#tallied = new Tallied(segmentation({ classes }));
  }

  /** `scores`: (h w, classes), the highest of which counts. */
  add({ number, name, grid, size, cover, truth }: DensePicture, scores: Float32Array): void {
    const predicted = labelsAt(scores, grid, this.#classes, size, cover);
    this.#tallied.add(number, { name, predicted, truth });
  }

  get figures(): Figures {
    const { total, figures } = this.#tallied;
    const truth = total.subarray(1 + this.#classes, 1 + 2 * this.#classes);
    const pixels = truth.reduce((sum, one) => sum + one, 0);
    const most = truth.reduce((largest, one) => Math.max(largest, one), 0);
    const there = truth.filter((one) => one > 0).length;
    // What always answering the class that most pixels have would give.
    const constant = pixels > 0 ? { constant_mIoU: most / pixels / there, constant_aAcc: most / pixels } : {};
    return { classes: this.#classes, examples: this.#tallied.each.length, ...figures, ...constant };
  }

  /**
   * Of each picture a number of which mIoU and aAcc are the means, though they are figures of all pixels together: what it adds
   * to them as sums change (the linearised, or infinitesimal jackknife, values of Efron 1981), so that intervals can be told by picture.
   */
  get outcomes(): Found['outcomes'] {
    const { each, total, pictures } = this.#tallied;
    const classes = this.#classes;
    const union = (sums: Float64Array, c: number) => sums[1 + classes + c]! + sums[1 + 2 * classes + c]! - sums[1 + c]!;
    const seen = Array.from({ length: classes }, (_, c) => c).filter((c) => union(total, c) > 0);
    const ious = seen.map((c) => total[1 + c]! / union(total, c));
    const mean = ious.reduce((sum, iou) => sum + iou, 0) / seen.length;
    const over = (sums: Float64Array, first: number) =>
      sums.subarray(first, first + classes).reduce((sum, one) => sum + one, 0);
    const pixels = over(total, 1 + classes);
    const accuracy = over(total, 1) / pixels;
    const n = each.length;
    if (pixels === 0) return {};
    return {
      mIoU: {
        pictures,
        values: Float32Array.from(each, (sums) => {
          const adds = seen.map((c, i) => (sums[1 + c]! - ious[i]! * union(sums, c)) / union(total, c));
          return mean + (n * adds.reduce((sum, one) => sum + one, 0)) / seen.length;
        }),
      },
      aAcc: {
        pictures,
        values: Float32Array.from(
          each,
          (sums) => accuracy + (n * (over(sums, 1) - accuracy * over(sums, 1 + classes))) / pixels,
        ),
      },
    };
  }
}
