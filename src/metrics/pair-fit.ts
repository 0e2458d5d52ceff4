import { softplus } from '../runtime/softplus.ts';
import type { ScoredPairs } from './calibration.ts';

/** Scale and bias of a logit: scale * score + bias. */
export interface LogitFit {
  readonly scale: number;
  readonly bias: number;
  /** Mean of the sigmoid loss over the pairs, each with its weight. */
  readonly loss: number;
  /** What is left of the gradient, of the mean. */
  readonly gradient: number;
}

const steps = 200;

/**
 * The logistic regression of right on the score, without a penalty (Platt scaling; scikit-learn's LogisticRegression of C = inf):
 * the scale and bias of the sigmoid loss over these pairs, by Newton's method with steps that are halved until the loss falls.
 * Null where the scores tell all right pairs from all wrong ones, or there is none of a kind: no finite scale is best then.
 *
 * @param wrongWeight what a wrong pair counts, against 1 of a right one
 */
export function fitLogit(pairs: readonly ScoredPairs[], wrongWeight = 1): LogitFit | null {
  const { right, wrong } = weighed(pairs, wrongWeight);
  if (right === 0 || wrong === 0 || isTold(pairs)) return null;
  const all = right + wrong;
  // Around the mean, so that scale and bias hardly depend on one another.
  const middle = pairs.reduce((sum, one) => sum + one.score * (one.right + wrongWeight * one.wrong), 0) / all;
  let [scale, bias] = [0, Math.log(right / wrong)];
  const lossAt = (a: number, b: number) => pairLoss(pairs, a, b, wrongWeight, middle);
  let loss = lossAt(scale, bias);
  let largest = Number.POSITIVE_INFINITY;
  for (let step = 0; step < steps; step++) {
    let [ga, gb, haa, hab, hbb] = [0, 0, 0, 0, 0];
    for (const { score, right, wrong } of pairs) {
      const x = score - middle;
      const weight = right + wrongWeight * wrong;
      const p = 1 / (1 + Math.exp(-(scale * x + bias)));
      const g = (weight * p - right) / all;
      const h = (weight * p * (1 - p)) / all;
      ga += g * x;
      gb += g;
      haa += h * x * x;
      hab += h * x;
      hbb += h;
    }
    largest = Math.max(Math.abs(ga), Math.abs(gb));
    const determinant = haa * hbb - hab * hab;
    if (!(determinant > 0)) break;
    const [da, db] = [(hbb * ga - hab * gb) / determinant, (haa * gb - hab * ga) / determinant];
    let part = 1;
    let next = lossAt(scale - da, bias - db);
    while (!(next <= loss) && part > 1e-10) {
      part /= 2;
      next = lossAt(scale - part * da, bias - part * db);
    }
    if (!(next < loss)) break;
    [scale, bias, loss] = [scale - part * da, bias - part * db, next];
  }
  return { scale, bias: bias - scale * middle, loss, gradient: largest };
}

/** Mean of the sigmoid loss of pairs of the logit scale * (score - middle) + bias, each with its weight. */
export function pairLoss(
  pairs: readonly ScoredPairs[],
  scale: number,
  bias: number,
  wrongWeight: number,
  middle = 0,
): number {
  const { right, wrong } = weighed(pairs, wrongWeight);
  const sum = pairs.reduce((sum, { score, right, wrong }) => {
    const z = scale * (score - middle) + bias;
    return sum + right * softplus(-z) + wrongWeight * wrong * softplus(z);
  }, 0);
  return sum / (right + wrong);
}

/** What right and wrong pairs count in all. */
const weighed = (pairs: readonly ScoredPairs[], wrongWeight: number) => ({
  right: pairs.reduce((sum, one) => sum + one.right, 0),
  wrong: wrongWeight * pairs.reduce((sum, one) => sum + one.wrong, 0),
});

/** Whether some score parts all right pairs from all wrong ones, either way round. */
function isTold(pairs: readonly ScoredPairs[]): boolean {
  const [rights, wrongs] = [pairs.filter(({ right }) => right > 0), pairs.filter(({ wrong }) => wrong > 0)];
  const ends = (some: readonly ScoredPairs[]) => [some[0]!.score, some.at(-1)!.score] as const;
  const [[lowestRight, highestRight], [lowestWrong, highestWrong]] = [ends(rights), ends(wrongs)];
  return lowestRight > highestWrong || highestRight < lowestWrong;
}

/** A score from which on so large a share of pairs is right. */
export interface PrecisionThreshold {
  readonly threshold: number;
  readonly precision: number;
  /** Wilson's interval of 95 % of the precision, pairs taken as independent. */
  readonly interval: readonly [number, number];
  /** Share of the right pairs that it takes. */
  readonly recall: number;
  readonly right: number;
  readonly wrong: number;
  /** Scores between which the threshold lies: from on those the upper and the lower end of the interval reach what is wanted. */
  readonly between: readonly [number, number | null];
}

/**
 * The lowest score from which on at least the share `wanted` of the pairs is right, as scikit-learn's precision_recall_curve has
 * it; null where no score has that. `pairs` rise by score.
 */
export function thresholdOfPrecision(
  pairs: readonly ScoredPairs[],
  wanted: number,
  wrongWeight = 1,
): PrecisionThreshold | null {
  const all = pairs.reduce((sum, one) => sum + one.right, 0);
  let [right, wrong] = [0, 0];
  let found: Omit<PrecisionThreshold, 'between'> | null = null;
  let [lowest, safe]: [number | null, number | null] = [null, null];
  for (let i = pairs.length - 1; i >= 0; i--) {
    const { score } = pairs[i]!;
    right += pairs[i]!.right;
    wrong += pairs[i]!.wrong;
    const seen = wilson(right, right + wrong);
    const weighed = (share: number) => share / (share + wrongWeight * (1 - share));
    const interval = [weighed(seen[0]), weighed(seen[1])] as const;
    const precision = right / (right + wrongWeight * wrong);
    if (precision >= wanted) found = { threshold: score, precision, interval, recall: right / all, right, wrong };
    if (interval[1] >= wanted) lowest = score;
    if (interval[0] >= wanted) safe = score;
  }
  return found && { ...found, between: [lowest ?? found.threshold, safe] };
}

/** Wilson's score interval of 95 % of a share. */
export function wilson(hits: number, of: number): readonly [number, number] {
  const z = 1.959963984540054;
  const share = hits / of;
  const middle = share + z ** 2 / (2 * of);
  const wide = z * Math.sqrt((share * (1 - share)) / of + z ** 2 / (4 * of ** 2));
  const by = 1 + z ** 2 / of;
  return [(middle - wide) / by, (middle + wide) / by];
}
