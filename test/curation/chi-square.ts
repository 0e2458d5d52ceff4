/** Pearson's sum over cells of (seen - expected)^2 / expected. */
export function chiSquare(seen: readonly number[], probabilities: readonly number[]): number {
  const total = seen.reduce((a, b) => a + b, 0);
  return probabilities.reduce((sum, p, i) => sum + ((seen[i] ?? 0) - total * p) ** 2 / (total * p), 0);
}

/** What it exceeds once in a thousand times with 15 cells: scipy.stats.chi2.ppf(0.999, 14). */
export const oneInAThousand = 36.123;

/** The probability of drawing this set without replacement, each draw by the softmax over what is left. */
export function setProbability(logits: ReadonlyMap<number, number>, set: readonly number[]): number {
  if (set.length === 0) return 1;
  let total = 0;
  for (const logit of logits.values()) total += Math.exp(logit);
  return set.reduce((sum, first) => {
    const left = new Map(logits);
    left.delete(first);
    const rest = set.filter((other) => other !== first);
    return sum + (Math.exp(logits.get(first)!) / total) * setProbability(left, rest);
  }, 0);
}

/** All sets of `size` of 0 ... count - 1, ascending. */
export function subsets(items: readonly number[], size: number): number[][] {
  if (size === 0) return [[]];
  return items.flatMap((item, i) => subsets(items.slice(i + 1), size - 1).map((rest) => [item, ...rest]));
}
