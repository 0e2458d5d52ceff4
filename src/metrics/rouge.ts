import type { Captioned } from './bleu.ts';
import { type Metric, ratio } from './figure.ts';

const beta = 1.2;

/** ROUGE-L, the mean over pictures, as pycocoevalcap's `Rouge` computes it: best precision and best recall may be of two references. */
export function rougeL(): Metric<Captioned> {
  return {
    width: 3,
    tally(captioned, sums) {
      if (captioned.references.length === 0) sums[2]!++;
      else {
        sums[0]! += rougeOf(captioned);
        sums[1]!++;
      }
    },
    figures(sums) {
      const of = sums[1]!;
      return [
        { name: 'ROUGE-L', value: ratio(sums[0]!, of), of },
        ...(sums[2]! > 0 ? [{ name: 'without_references', value: sums[2]!, of: of + sums[2]! }] : []),
      ];
    },
  };
}

function rougeOf({ words, references }: Captioned): number {
  let [precision, recall] = [0, 0];
  for (const reference of references) {
    const common = commonLength(words, reference);
    if (common === 0) continue;
    precision = Math.max(precision, common / words.length);
    recall = Math.max(recall, common / reference.length);
  }
  return precision > 0 ? ((1 + beta ** 2) * precision * recall) / (recall + beta ** 2 * precision) : 0;
}

/** Length of the longest common subsequence; one row of the table is held. */
function commonLength(a: readonly string[], b: readonly string[]): number {
  const row = new Uint32Array(b.length + 1);
  for (const word of a) {
    let diagonal = 0;
    for (const [j, other] of b.entries()) {
      const above = row[j + 1]!;
      row[j + 1] = word === other ? diagonal + 1 : Math.max(above, row[j]!);
      diagonal = above;
    }
  }
  return row[b.length]!;
}
