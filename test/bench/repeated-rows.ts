import type { Arrays, BatchRows } from '../../src/data/batches/types.ts';

/**
 * A batch of `count` rows that are those of a smaller one over and over, a whole number of times. The smaller one has a whole
 * number of what is asked for at once. `made` is told when its last row was first given out.
 */
export function repeatedRows(small: BatchRows, count: number, made: () => void): BatchRows {
  if (count % small.count !== 0) throw new Error(`${count} rows are no multiple of ${small.count}`);
  let told = false;
  return {
    index: small.index,
    count,
    async rows(first, rows, { names, last = false } = {}): Promise<Arrays> {
      const at = first % small.count;
      // They are asked for again as long as they come once more.
      const arrays = await small.rows(at, rows, { names, last: last && first + small.count >= count });
      if (!told && at + rows === small.count) {
        told = true;
        made();
      }
      return arrays;
    },
    picked: (rows, without) =>
      small.picked(
        rows.map((row) => row % small.count),
        without,
      ),
    async facts() {
      const { described, ...facts } = await small.facts();
      if (!described) return facts;
      return { ...facts, described: Array.from({ length: count }, (_, i) => described[i % small.count]!) };
    },
    close: () => small.close(),
  };
}
