import { type Figure, finite, meanOf, sameLength } from './figure.ts';

/**
 * Area under precision over recall as steps (scikit-learn's average_precision_score): equal scores are one step, so that their
 * order is nothing. Null without a right example. Cost: one sort.
 */
export function averagePrecision(scores: ArrayLike<number>, right: ArrayLike<number>): number | null {
  const order = Uint32Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[b]! - scores[a]!);
  let [hits, sum, since] = [0, 0, 0];
  for (const [i, at] of order.entries()) {
    if (right[at]) since++;
    if (i + 1 < order.length && scores[order[i + 1]!] === scores[at]) continue;
    hits += since;
    sum += (since * hits) / (i + 1);
    since = 0;
  }
  return hits > 0 ? sum / hits : null;
}

/**
 * Mean over classes of their average precision; `scores` and `right` are (n, C), by rows. A class that no example has is left
 * out, as torchmetrics does; CLIP_benchmark and scikit-learn count it as 0. Cost: C sorts of n; memory: one column.
 */
export function meanAveragePrecision(scores: Float32Array, right: Uint8Array, classes: number): Figure[] {
  sameLength('scores of several labels', 'the table of labels', right.length, scores.length);
  finite('scores of several labels', 'the scores', scores);
  const n = scores.length / classes;
  const values = Array.from({ length: classes }, (_, k) => {
    const column = Float32Array.from({ length: n }, (_, i) => scores[i * classes + k]!);
    return averagePrecision(
      column,
      Uint8Array.from({ length: n }, (_, i) => right[i * classes + k]!),
    );
  });
  return [{ name: 'mean_average_precision', ...meanOf(values) }];
}
