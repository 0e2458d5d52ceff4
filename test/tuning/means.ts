export const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

/** The mean of shares over seeds as a cell of a table, and in brackets the lowest and the highest where they differ. */
export function meanCell(shares: readonly number[]): string {
  const percent = shares.map((share) => 100 * share);
  const [low, high] = [Math.min(...percent), Math.max(...percent)].map((value) => value.toFixed(1));
  return `${mean(percent).toFixed(1)} %${low === high ? '' : ` (${low} to ${high})`}`;
}
