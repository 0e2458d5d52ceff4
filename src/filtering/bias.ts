import type { Attributes, BalanceSettings, Bounds } from './balance-settings.ts';
import { eachBound, numberOfBounds, toleranceOf } from './prices.ts';

/** Sums over examples that the biases of data are told from, before weighting and after; those of shards add up. */
export interface BiasSums {
  readonly examples: number;
  readonly weight: number;
  /** By bound: of s - pi, of examples, of q (s - pi), of q. */
  readonly off: readonly number[];
  readonly count: readonly number[];
  readonly weighedOff: readonly number[];
  readonly weighed: readonly number[];
}

/** One bound, as a report tells it. */
export interface Bias {
  readonly group: number;
  /** Null: representation of the group. */
  readonly label: number | null;
  readonly examples: number;
  /** Before and after, as a share of what `of` says. */
  readonly before: number;
  readonly after: number;
  readonly tolerance: number;
}

export function biasSumsOf(
  examples: Iterable<Attributes>,
  weight: (of: Attributes) => number,
  bounds: Bounds,
): BiasSums {
  const zeros = () => new Array<number>(numberOfBounds(bounds)).fill(0);
  const sums = { off: zeros(), count: zeros(), weighedOff: zeros(), weighed: zeros() };
  let count = 0;
  let all = 0;
  let q = 0;
  const add = (j: number, off: number) => {
    sums.off[j] = sums.off[j]! + off;
    sums.count[j] = sums.count[j]! + 1;
    sums.weighedOff[j] = sums.weighedOff[j]! + q * off;
    sums.weighed[j] = sums.weighed[j]! + q;
  };
  for (const of of examples) {
    q = weight(of);
    all += q;
    count++;
    eachBound(of, bounds, add);
  }
  return { examples: count, weight: all, ...sums };
}

const added = (a: readonly number[], b: readonly number[]) => a.map((value, i) => value + b[i]!);

export function addBiasSums(a: BiasSums, b: BiasSums): BiasSums {
  return {
    examples: a.examples + b.examples,
    weight: a.weight + b.weight,
    off: added(a.off, b.off),
    count: added(a.count, b.count),
    weighedOff: added(a.weighedOff, b.weighedOff),
    weighed: added(a.weighed, b.weighed),
  };
}

/** Every bound, by group first representation and then each label. What no example is about has a bias of 0. */
export function biasesOf(sums: BiasSums, bounds: Bounds, settings: BalanceSettings): Bias[] {
  const part = (of: number, whole: number) => (whole > 0 ? of / whole : 0);
  const ofAll = settings.of === 'all';
  return sums.off.map((off, j) => {
    const r = j % (1 + bounds.labels);
    return {
      group: Math.floor(j / (1 + bounds.labels)),
      label: r === 0 ? null : r - 1,
      examples: sums.count[j]!,
      before: part(off, ofAll ? sums.examples : sums.count[j]!),
      after: part(sums.weighedOff[j]!, ofAll ? sums.weight : sums.weighed[j]!),
      tolerance: toleranceOf(j, bounds, settings),
    };
  });
}
