import type { Figure, Metric } from './figure.ts';
import { countNgrams, longest } from './ngrams.ts';

/** What was said of one picture, and what people say of it, as words (caption-words.ts). */
export interface Captioned {
  readonly name: string;
  readonly words: readonly string[];
  readonly references: readonly (readonly string[])[];
}

const [said, there, images, without] = [0, 1, 2, 3];
const [right, tried] = [4, 4 + longest];

/**
 * BLEU-1 to BLEU-4 of a corpus with the reference of the closest length (pycocoevalcap's `Bleu`; its smoothing too: 1e-15 and
 * 1e-9). Pictures without a reference are counted as `without_references`. Cost: 5,000 pictures of five references take 0.2 s.
 */
export function bleu(): Metric<Captioned> {
  return {
    width: tried + longest,
    tally({ words, references }, sums) {
      if (references.length === 0) {
        sums[without]!++;
        return;
      }
      const counted = references.map(countNgrams);
      sums[images]!++;
      sums[said]! += words.length;
      sums[there]! += closestLength(words.length, references);
      for (const [n, counts] of countNgrams(words).entries()) {
        sums[tried + n]! += Math.max(0, words.length - n);
        for (const [ngram, count] of counts)
          sums[right + n]! += Math.min(count, Math.max(...counted.map((one) => one[n]!.get(ngram) ?? 0)));
      }
    },
    figures(sums) {
      const of = sums[images]!;
      const share = (sums[said]! + 1e-15) / (sums[there]! + 1e-9);
      const brevity = share < 1 ? Math.exp(1 - 1 / share) : 1;
      let product = 1;
      return [
        ...Array.from({ length: longest }, (_, n): Figure => {
          product *= (sums[right + n]! + 1e-15) / (sums[tried + n]! + 1e-9);
          return { name: `BLEU-${n + 1}`, value: of > 0 ? brevity * product ** (1 / (n + 1)) : null, of };
        }),
        ...(sums[without]! > 0 ? [{ name: 'without_references', value: sums[without]!, of: of + sums[without]! }] : []),
      ];
    },
  };
}

/** Of two lengths that are as close the shorter one. */
function closestLength(length: number, references: readonly (readonly string[])[]): number {
  const lengths = references.map((one) => one.length);
  return lengths.reduce((best, one) => {
    const [near, far] = [Math.abs(one - length), Math.abs(best - length)];
    return near < far || (near === far && one < best) ? one : best;
  });
}
