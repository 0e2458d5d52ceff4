/** How the steps of a round are dealt to slots by how fast each was. A pure function of what was recorded. */

/** How fast a slot was in the round that a checkpoint ends, as its manifest says. */
export interface SlotPace {
  readonly slot: number;
  /** Examples a second, over steps alone. */
  readonly pace: number;
}

/** No slot counts as more than so many times as fast as another: one wrong figure must not take the round from all others. */
export const mostTimesAsFast = 8;

/** Whether a pace says anything: it is zero where no step of a lane could be timed. */
export const isPace = (pace: number): boolean => Number.isFinite(pace) && pace > 0;

/**
 * Steps of each slot's lane, in proportion to its pace: by largest remainder, so that they are the steps of the round, and
 * none without a step. A slot without a pace counts as the mean of the others; where none has one, all are alike, as lanes
 * are without paces. Less steps than slots are so many lanes of one step.
 *
 * @param paces in any order; those of slots that there are not are left aside
 */
export function lengthsByPace(steps: number, slots: number, paces: readonly SlotPace[]): number[] {
  const lanes = Math.min(steps, slots);
  const weights = weightsOf(lanes, paces);
  const lengths = new Array<number>(lanes).fill(1);
  // Who has less than a step by its share gets one, and the others share what is left.
  let sharing = weights.map((_, slot) => slot);
  for (;;) {
    const left = steps - (lanes - sharing.length);
    const total = sharing.reduce((sum, slot) => sum + weights[slot]!, 0);
    const shareOf = (slot: number) => (left * weights[slot]!) / total;
    const enough = sharing.filter((slot) => shareOf(slot) >= 1);
    if (enough.length === sharing.length || enough.length === 0) {
      const rounded = byLargestRemainder(left, sharing.map(shareOf));
      for (const [i, slot] of sharing.entries()) lengths[slot] = rounded[i]!;
      return lengths;
    }
    sharing = enough;
  }
}

/** Paces within the limits around their middle, by slot. */
function weightsOf(lanes: number, paces: readonly SlotPace[]): number[] {
  const own = new Map(
    paces.filter(({ slot, pace }) => slot < lanes && isPace(pace)).map((one) => [one.slot, one.pace]),
  );
  if (own.size === 0) return new Array<number>(lanes).fill(1);
  const sorted = [...own.values()].sort((a, b) => a - b);
  const middle = Math.sqrt(sorted[(sorted.length - 1) >> 1]!) * Math.sqrt(sorted[sorted.length >> 1]!);
  const reach = Math.sqrt(mostTimesAsFast);
  const limited = (pace: number) => Math.min(reach, Math.max(1 / reach, pace / middle));
  const known = Array.from({ length: lanes }, (_, slot) => {
    const pace = own.get(slot);
    return pace === undefined ? null : limited(pace);
  });
  // By slot, whatever came first: sums of floats depend on their order.
  const mean = known.reduce<number>((sum, weight) => sum + (weight ?? 0), 0) / own.size;
  return known.map((weight) => weight ?? mean);
}

/** Whole numbers whose sum is `total`; of equal remainders the first goes up, as in lanes that are alike. */
function byLargestRemainder(total: number, shares: readonly number[]): number[] {
  const whole = shares.map(Math.floor);
  const left = total - whole.reduce((sum, one) => sum + one, 0);
  const order = shares.map((share, i) => ({ i, rest: share - whole[i]! })).sort((a, b) => b.rest - a.rest || a.i - b.i);
  for (const { i } of order.slice(0, left)) whole[i]! += 1;
  return whole;
}
