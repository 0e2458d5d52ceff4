import type { Attributes, BalanceSettings, Bounds } from './balance-settings.ts';

/** Duals of the bounds: what they weigh. By group, first representation and then each label. */
export interface Prices {
  /** That a bias is at most its tolerance. */
  readonly over: Float64Array;
  /** That it is at least the negative of it. */
  readonly under: Float64Array;
  /** Of the share that is kept, of either sign; 0 where none is asked for. */
  keep: number;
}

export const numberOfBounds = ({ targets, labels }: Bounds): number => targets.length * (1 + labels);

/** The tolerance of bound j. */
export const toleranceOf = (j: number, { labels }: Bounds, settings: BalanceSettings): number =>
  j % (1 + labels) === 0 ? settings.representation : settings.association;

/** Calls for each bound that an example is about, with s - pi. */
export function eachBound(
  { s, y }: Attributes,
  { targets, labels }: Bounds,
  each: (j: number, off: number) => void,
): void {
  for (let k = 0; k < targets.length; k++) {
    const value = s[k];
    if (value === null || value === undefined) continue;
    const off = value - targets[k]!;
    const first = k * (1 + labels);
    each(first, off);
    for (let i = 0; i < y.length; i++) each(first + 1 + y[i]!, off);
  }
}

/**
 * The weight of an example at these prices: what minimises (1 - q)^2 / 2 + sum_j price_j q (+-(s - pi) y - eps_j) over
 * 0 <= q <= 1. The tolerance is of all examples or of those that the bound is about.
 */
export function weigher(prices: Prices, bounds: Bounds, settings: BalanceSettings): (of: Attributes) => number {
  const { over, under } = prices;
  const ofAll = settings.of === 'all';
  let free = 1 - prices.keep;
  if (ofAll) for (let j = 0; j < over.length; j++) free += (over[j]! + under[j]!) * toleranceOf(j, bounds, settings);
  let q = 0;
  const add = (j: number, off: number) => {
    q -= (over[j]! - under[j]!) * off;
    if (!ofAll) q += (over[j]! + under[j]!) * toleranceOf(j, bounds, settings);
  };
  return (of) => {
    q = free;
    eachBound(of, bounds, add);
    return q < 0 ? 0 : q > 1 ? 1 : q;
  };
}
