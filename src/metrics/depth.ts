import { type Figure, finite, type Metric, ratio, refuse, sameLength } from './figure.ts';

/** Distance of every pixel in metres. */
export interface Depths {
  readonly name: string;
  readonly predicted: ArrayLike<number>;
  /** Pixels of no known depth are 0, NaN or beyond the range. */
  readonly truth: ArrayLike<number>;
}

/** How depth is counted. */
export interface DepthSettings {
  /** Truth outside does not count, and predictions are drawn into it. NYUv2: 0.001 to 10. */
  readonly least?: number;
  readonly most?: number;
  /** `image`: the mean over pictures of theirs, as DINOv2, DINOv3 and the NYU table do; `pixel`: over all pixels at once. */
  readonly average?: 'image' | 'pixel';
}

/** Names as DINOv3's results-depth.csv has them; `silog` is a hundred times the deviation of log depth. */
const names = ['a1', 'a2', 'a3', 'abs_rel', 'rmse', 'log_10', 'rmse_log', 'silog', 'sq_rel', 'mae'] as const;
const parts = 11;

/** What each figure is of sums over n pixels: within 1.25, 1.25^2, 1.25^3, |e|/t, e^2, |log10|, log^2, log, e^2/t, |e|. */
function valuesOf(sums: ArrayLike<number>, n: number): number[] {
  const [a1, a2, a3, relative, squares, log10, logSquares, logs, squaresRelative, absolute] = Array.from(
    { length: parts - 1 },
    (_, i) => sums[i]! / n,
  ) as [number, number, number, number, number, number, number, number, number, number];
  // The variance of equal errors may round below zero.
  const silog = 100 * Math.sqrt(Math.max(0, logSquares - logs * logs));
  return [a1, a2, a3, relative, Math.sqrt(squares), log10, Math.sqrt(logSquares), silog, squaresRelative, absolute];
}

/** Errors of depth (Eigen, arXiv 1406.2283, 4.1). Pictures without a pixel of known depth are counted as `without_truth`. Cost: one pass. */
export function depth({ least = 0.001, most = 10, average = 'image' }: DepthSettings = {}): Metric<Depths> {
  if (!(least > 0 && most > least)) refuse('depth', `the range ${least} to ${most} must rise from above 0`);
  const without = parts;
  return {
    width: parts + 1,
    tally({ name, predicted, truth }, sums) {
      sameLength(name, 'the prediction', predicted.length, truth.length);
      finite(name, 'the predicted depth', predicted);
      const own = new Float64Array(parts);
      for (let i = 0; i < truth.length; i++) {
        const is = truth[i]!;
        if (!(is >= least && is <= most)) continue;
        addPixel(own, Math.min(most, Math.max(least, predicted[i]!)), is);
      }
      const pixels = own[parts - 1]!;
      if (pixels === 0) {
        sums[without]!++;
        return;
      }
      const added = average === 'pixel' ? own : [...valuesOf(own, pixels), 1];
      for (let i = 0; i < parts; i++) sums[i]! += added[i]!;
    },
    figures(sums) {
      const of = sums[parts - 1]!;
      const values = average === 'pixel' && of > 0 ? valuesOf(sums, of) : null;
      return [
        ...names.map((name, i): Figure => ({ name, value: values ? values[i]! : ratio(sums[i]!, of), of })),
        ...(sums[without]! > 0 ? [{ name: 'without_truth', value: sums[without]!, of: sums[without]! }] : []),
      ];
    },
  };
}

function addPixel(own: Float64Array, says: number, is: number): void {
  const times = Math.max(says / is, is / says);
  const [error, log] = [says - is, Math.log(says) - Math.log(is)];
  if (times < 1.25) own[0]!++;
  if (times < 1.25 ** 2) own[1]!++;
  if (times < 1.25 ** 3) own[2]!++;
  own[3]! += Math.abs(error) / is;
  own[4]! += error * error;
  own[5]! += Math.abs(log) / Math.LN10;
  own[6]! += log * log;
  own[7]! += log;
  own[8]! += (error * error) / is;
  own[9]! += Math.abs(error);
  own[10]!++;
}
