import { type Figure, type Metric, ratio, refuse } from './figure.ts';

/** What a model says how sure it is of, and whether it was right. */
export interface Sureness {
  readonly name: string;
  /** A probability: of the best class, or of a pair by the sigmoid. */
  readonly confidence: number;
  readonly right: boolean;
}

/**
 * Expected and largest calibration error over bins of equal width, [low, high) (torchmetrics, 15 bins): how far confidence is
 * from the share that is right, and where confidence is higher on the whole. Cost: three additions each; memory: 3 sums a bin.
 */
export function calibration(bins = 15): Metric<Sureness> {
  return {
    width: 3 * bins,
    tally({ name, confidence, right }, sums) {
      if (!(confidence >= 0 && confidence <= 1)) refuse(name, `its confidence is ${confidence}, and must be 0 to 1`);
      const bin = 3 * Math.min(bins - 1, Math.floor(confidence * bins));
      sums[bin]!++;
      sums[bin + 1]! += confidence;
      if (right) sums[bin + 2]!++;
    },
    figures(sums) {
      const each = Array.from({ length: bins }, (_, i) => ({
        n: sums[3 * i]!,
        gap: (ratio(sums[3 * i + 1]!, sums[3 * i]!) ?? 0) - (ratio(sums[3 * i + 2]!, sums[3 * i]!) ?? 0),
      }));
      const of = each.reduce((sum, { n }) => sum + n, 0);
      const sum = (value: (gap: number) => number) => each.reduce((total, { n, gap }) => total + n * value(gap), 0);
      return [
        { name: 'ece', value: ratio(sum(Math.abs), of), of },
        { name: 'mce', value: of > 0 ? Math.max(...each.map(({ gap }) => Math.abs(gap))) : null, of },
        {
          name: 'overconfidence',
          value: ratio(
            sum((gap) => gap),
            of,
          ),
          of,
        },
      ];
    },
  };
}

/** How many pairs of a score, or of scores close to it, are right and how many wrong. */
export interface ScoredPairs {
  readonly score: number;
  readonly right: number;
  readonly wrong: number;
}

/**
 * The score from which on a pair is more likely right than wrong: where the best rising curve through the shares that are right
 * (isotonic regression) passes one half. The same score makes fewest mistakes when pairs from it on are taken for right. Null
 * where none is. `pairs` rise by score. A share depends on what the pairs are: among all pairs of n images and n texts one in n
 * is right.
 */
export function evenThreshold(pairs: readonly ScoredPairs[]): number | null {
  let [sum, best] = [0, 0];
  let threshold: number | null = null;
  for (let i = pairs.length - 1; i >= 0; i--) {
    sum += pairs[i]!.right - pairs[i]!.wrong;
    // Of equal sums the highest score: those below it are as often wrong as right.
    if (sum > best) [best, threshold] = [sum, pairs[i]!.score];
  }
  return threshold;
}

/** Scores of pairs with equal ones together, rising. Cost: one sort; for what fits the memory. */
export function scoredPairs(scores: ArrayLike<number>, right: ArrayLike<number>): ScoredPairs[] {
  const order = Uint32Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[a]! - scores[b]!);
  const pairs: { score: number; right: number; wrong: number }[] = [];
  for (const at of order) {
    if (pairs.at(-1)?.score !== scores[at]) pairs.push({ score: scores[at]!, right: 0, wrong: 0 });
    pairs.at(-1)![right[at] ? 'right' : 'wrong']++;
  }
  return pairs;
}

/**
 * Pairs in bins of cosine, -1 to 1, for as many as there are: 5,000 images with 25,000 texts are 125 million, 1.3 s. With 65,536
 * bins the threshold is within 0.00003 of a cosine, 0.004 of a logit at SigLIP 2's scale.
 */
export class PairHistogram {
  readonly #right: Float64Array;
  readonly #wrong: Float64Array;

  constructor(bins = 65_536) {
    this.#right = new Float64Array(bins);
    this.#wrong = new Float64Array(bins);
  }

  add(cosine: number, right: boolean): void {
    const bins = this.#right.length;
    if (!(cosine >= -1.001 && cosine <= 1.001)) refuse('a pair', `its cosine is ${cosine}`);
    const bin = Math.max(0, Math.min(bins - 1, Math.floor(((cosine + 1) / 2) * bins)));
    (right ? this.#right : this.#wrong)[bin]!++;
  }

  /** Rising; a bin stands for its lower edge. */
  pairs(): ScoredPairs[] {
    const bins = this.#right.length;
    return Array.from(this.#right, (right, i) => ({ score: (2 * i) / bins - 1, right, wrong: this.#wrong[i]! })).filter(
      ({ right, wrong }) => right + wrong > 0,
    );
  }

  /** `threshold`, a cosine, and the share of pairs that is taken for what it is by it. */
  figures(): Figure[] {
    const pairs = this.pairs();
    const threshold = evenThreshold(pairs);
    const of = pairs.reduce((sum, { right, wrong }) => sum + right + wrong, 0);
    const taken = pairs.reduce(
      (sum, { score, right, wrong }) => sum + (threshold !== null && score >= threshold ? right : wrong),
      0,
    );
    return [
      { name: 'threshold', value: threshold, of },
      { name: 'accuracy_at_threshold', value: ratio(taken, of), of },
      {
        name: 'share_right',
        value: ratio(
          pairs.reduce((sum, { right }) => sum + right, 0),
          of,
        ),
        of,
      },
    ];
  }
}
