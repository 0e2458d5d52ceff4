export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** Smallest, middle (mean of the two middle ones when even) and largest of at least one number. */
export function spread(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('no values');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { min: sorted[0]!, median, max: sorted.at(-1)! };
}

export interface Ratio {
  /** Median of all of ours over the median of all of theirs. */
  readonly ofMedians: number;
  /** Ratio of the medians of each pair of adjacent turns: the range says how much the machine's other work moved it. */
  readonly pairs: Spread;
}

/** Compares turns that were run alternately: turn i of ours beside turn i of theirs. Each turn is a list of times. */
export function compareTurns(ours: readonly (readonly number[])[], theirs: readonly (readonly number[])[]): Ratio {
  if (ours.length !== theirs.length) throw new RangeError(`${ours.length} turns beside ${theirs.length}`);
  return {
    ofMedians: spread(ours.flat()).median / spread(theirs.flat()).median,
    pairs: spread(ours.map((turn, i) => spread(turn).median / spread(theirs[i]!).median)),
  };
}
