import { type Figure, finite, type Metric, meanOf, ratio, refuse, sameLength } from './figure.ts';

/** What a classifier says of one picture. */
export interface ClassScores {
  readonly name: string;
  /** (C) */
  readonly scores: Float32Array | Float64Array;
  /** Classes that are right, any of them; none where the data has no label for the picture (ImageNet-ReaL has such). */
  readonly labels: readonly number[];
}

/** Place of the first right class, 0 is best. Of equal scores the wrong ones come first, so that a constant earns nothing. */
export function placeOf({ scores, labels }: Pick<ClassScores, 'scores' | 'labels'>): number {
  let best = Number.NEGATIVE_INFINITY;
  for (const label of labels) best = Math.max(best, scores[label]!);
  let before = 0;
  for (let k = 0; k < scores.length; k++) if (scores[k]! >= best && !labels.includes(k)) before++;
  return before;
}

const [counted, unlabelled, several] = [0, 1, 2];
const head = 3;

/**
 * Top-1, top-5 and the mean over classes of their recall (scikit-learn's balanced accuracy). Several labels: a hit is any of
 * them (big_vision's discriminative_classifier.py), and there is no recall of classes. Top-k of fewer than k classes is null.
 * Cost: C comparisons a picture; 50,000 pictures of 1,000 classes take 0.2 s. Memory: 2C sums.
 */
export function topK(classes: number, options: { readonly ks?: readonly number[] } = {}): Metric<ClassScores> {
  const ks = options.ks ?? [1, 5];
  const [ofClass, hitOfClass] = [head + ks.length, head + ks.length + classes];
  return {
    width: head + ks.length + 2 * classes,
    tally({ name, scores, labels }, sums) {
      sameLength(name, 'the scores', scores.length, classes);
      finite(name, 'the scores', scores);
      for (const label of labels)
        if (!Number.isInteger(label) || label < 0 || label >= classes)
          refuse(name, `label ${label} is none of the ${classes} classes, which are numbered from 0`);
      if (labels.length === 0) {
        sums[unlabelled]!++;
        return;
      }
      const place = placeOf({ scores, labels });
      sums[counted]!++;
      for (const [i, k] of ks.entries()) if (place < k) sums[head + i]!++;
      if (labels.length > 1) {
        sums[several]!++;
        return;
      }
      sums[ofClass + labels[0]!]!++;
      if (place < 1) sums[hitOfClass + labels[0]!]!++;
    },
    figures(sums) {
      const of = sums[counted]!;
      const recalls = Array.from({ length: classes }, (_, k) => ratio(sums[hitOfClass + k]!, sums[ofClass + k]!));
      return [
        ...ks.map((k, i): Figure => ({ name: `acc${k}`, value: classes < k ? null : ratio(sums[head + i]!, of), of })),
        ...(sums[several] === 0 ? [{ name: 'mean_per_class_recall', ...meanOf(recalls) }] : []),
        ...(sums[unlabelled]! > 0
          ? [{ name: 'unlabelled', value: sums[unlabelled]!, of: of + sums[unlabelled]! }]
          : []),
      ];
    },
  };
}
