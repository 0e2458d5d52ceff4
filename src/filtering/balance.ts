import { RunnerError } from '../runtime/errors.ts';
import { permutation, randomStream } from '../runtime/random.ts';
import { type Attributes, type BalanceSettings, type Bounds, mostBounds } from './balance-settings.ts';
import { eachBound, numberOfBounds, type Prices, toleranceOf, weigher } from './prices.ts';

/** Examples of an update. */
const batch = 64;
/** Steps fall with the number of examples a bound has had to this power: between 1/2 and 1 means of them converge (Polyak and Juditsky, 1992). */
const decay = 0.66;
/** Steps of the first examples are those of the twentieth. */
const warm = 20;

/** What is carried from shard to shard: a JSON document of up to 130 bytes a bound, whatever the number of examples. */
export interface BalanceState {
  /** Passes that ended, and shards of the one that goes on. */
  readonly passes: number;
  readonly shards: number;
  readonly over: readonly number[];
  readonly under: readonly number[];
  readonly keep: number;
  /** Of each bound: how its examples curve the dual, and how many there were; the last pair is of the share kept. */
  readonly curves: readonly number[];
  readonly seen: readonly number[];
  /** Sums over updates of the later half of the passes: prices over, under, that of the share kept, and their number. */
  readonly mean: readonly number[];
  /** Of a last pass: sums of q (s - pi) y and of q by bound, of q, and of examples. */
  readonly sums: readonly number[];
}

export function firstState(bounds: Bounds): BalanceState {
  const count = numberOfBounds(bounds);
  if (count > mostBounds)
    throw new RunnerError(
      'RecipeInvalid',
      `balancing ${bounds.targets.length} groups by ${bounds.labels} labels has ${count} bounds; at most ${mostBounds} are allowed: leave labels out`,
    );
  const zeros = (n: number) => new Array<number>(n).fill(0);
  return {
    ...{ passes: 0, shards: 0, over: zeros(count), under: zeros(count), keep: 0 },
    ...{ curves: zeros(count + 1), seen: zeros(count + 1), mean: zeros(2 * count + 2), sums: zeros(2 * count + 2) },
  };
}

/** Weights of examples at a state: a pure function of both. */
export function weightOf(state: BalanceState, bounds: Bounds, settings: BalanceSettings): (of: Attributes) => number {
  const prices: Prices = {
    over: Float64Array.from(state.over),
    under: Float64Array.from(state.under),
    keep: state.keep,
  };
  return weigher(prices, bounds, settings);
}

/**
 * Weights q in [0, 1] of examples, so that no group is over- or under-represented or tied to a label:
 * minimise E[(1 - q)^2] / 2 with |E[q (s_k - pi_k)]| <= eps_R E[q], |E[q (s_k - pi_k) y_r]| <= eps_D E[q], and E[q] = keep
 * where it is given (with it (q - keep)^2, as the paper has it, has the same minimum). The dual is ascended example by
 * example, as M4 does; each bound has steps of its own, since labels are of very different frequency. Shards come in one
 * order, which is the same in each pass: a state is a pure function of settings and examples.
 *
 * Memory is that of a shard's attributes and of the bounds. An example takes 0.1 us without attributes and 0.7 us with some
 * of 40 labels: 7 passes over 100 million take 2 to 8 minutes beside what reading their attributes costs.
 */
export class Balance {
  readonly #bounds: Bounds;
  readonly #settings: BalanceSettings;
  readonly #prices: Prices;
  readonly #curves: Float64Array;
  readonly #seen: Float64Array;
  readonly #mean: Float64Array;
  readonly #sums: Float64Array;
  #passes: number;
  #shards: number;

  constructor(bounds: Bounds, settings: BalanceSettings, state: BalanceState = firstState(bounds)) {
    this.#bounds = bounds;
    this.#settings = settings;
    this.#prices = { over: Float64Array.from(state.over), under: Float64Array.from(state.under), keep: state.keep };
    this.#curves = Float64Array.from(state.curves);
    this.#seen = Float64Array.from(state.seen);
    this.#mean = Float64Array.from(state.mean);
    this.#sums = Float64Array.from(state.sums);
    this.#passes = state.passes;
    this.#shards = state.shards;
  }

  get isDone(): boolean {
    return this.#passes >= this.#settings.passes + this.#settings.lastPasses;
  }

  get state(): BalanceState {
    return {
      passes: this.#passes,
      shards: this.#shards,
      over: [...this.#prices.over],
      under: [...this.#prices.under],
      keep: this.#prices.keep,
      curves: [...this.#curves],
      seen: [...this.#seen],
      mean: [...this.#mean],
      sums: [...this.#sums],
    };
  }

  /** Takes all examples of the next shard of this pass. */
  addShard(examples: readonly Attributes[]): void {
    const stream = randomStream(this.#settings.seed, 'balance', this.#passes, this.#shards);
    const order = permutation(examples.length, stream);
    const isLast = this.#passes >= this.#settings.passes;
    const size = isLast ? examples.length : batch;
    for (let from = 0; from < order.length; from += size) {
      this.#addUp(examples, order.subarray(from, from + size));
      if (!isLast) this.#update();
    }
    this.#shards++;
  }

  /** After the last shard of a pass. */
  endPass(): void {
    if (this.#passes >= this.#settings.passes) this.#update();
    this.#passes++;
    this.#shards = 0;
    if (this.#passes === this.#settings.passes) this.#takeMean();
  }

  /** Adds examples to the gradient of the dual. */
  #addUp(examples: readonly Attributes[], places: Uint32Array): void {
    const bounds = this.#bounds;
    const count = this.#prices.over.length;
    const sums = this.#sums;
    const curves = this.#curves;
    const seen = this.#seen;
    const hasKeep = this.#settings.keep !== undefined;
    const weight = weigher(this.#prices, bounds, this.#settings);
    let q = 0;
    let row = 0;
    const addRow = (_: number, off: number) => {
      row += Math.abs(off);
    };
    const add = (j: number, off: number) => {
      sums[j] = sums[j]! + q * off;
      sums[count + j] = sums[count + j]! + q;
      curves[j] = curves[j]! + Math.abs(off) * row;
      seen[j] = seen[j]! + 1;
    };
    for (const place of places) {
      const of = examples[place]!;
      q = weight(of);
      // Sums of rows bound the curvature whatever bounds have to do with one another.
      row = hasKeep ? 1 : 0;
      eachBound(of, bounds, addRow);
      eachBound(of, bounds, add);
      curves[count] = curves[count]! + row;
      sums[2 * count] = sums[2 * count]! + q;
    }
    seen[count] = seen[count]! + places.length;
    sums[2 * count + 1] = sums[2 * count + 1]! + places.length;
  }

  /** One step up the dual by what was added up. */
  #update(): void {
    const { over, under } = this.#prices;
    const { keep, penalty, of, passes } = this.#settings;
    const count = over.length;
    const sums = this.#sums;
    const all = sums[2 * count]!;
    for (let j = 0; j < count; j++) {
      const step = this.#stepOf(j);
      if (step === 0) continue;
      const most = toleranceOf(j, this.#bounds, this.#settings) * (of === 'all' ? all : sums[count + j]!);
      over[j] = Math.min(penalty, Math.max(0, over[j]! + step * (sums[j]! - most)));
      under[j] = Math.min(penalty, Math.max(0, under[j]! - step * (sums[j]! + most)));
    }
    if (keep !== undefined) this.#prices.keep += this.#stepOf(count) * (all - keep * sums[2 * count + 1]!);
    sums.fill(0);
    if (this.#passes >= passes || this.#passes < passes / 2) return;
    const mean = this.#mean;
    for (let j = 0; j < count; j++) {
      mean[j] = mean[j]! + over[j]!;
      mean[count + j] = mean[count + j]! + under[j]!;
    }
    mean[2 * count] = mean[2 * count]! + this.#prices.keep;
    mean[2 * count + 1] = mean[2 * count + 1]! + 1;
  }

  #stepOf(j: number): number {
    const curve = this.#curves[j]!;
    const seen = this.#seen[j]!;
    if (curve === 0) return 0;
    // One step a pass may be as long as the curvature of a whole pass allows.
    if (this.#passes >= this.#settings.passes) return (this.#passes + 1) / curve;
    return seen / curve / Math.max(warm, seen) ** decay;
  }

  /** Prices of single steps waver about what they converge to; their mean does so much less. */
  #takeMean(): void {
    const { over, under } = this.#prices;
    const count = over.length;
    const mean = this.#mean;
    const updates = mean[2 * count + 1]!;
    if (updates === 0) return;
    for (let j = 0; j < count; j++) {
      over[j] = mean[j]! / updates;
      under[j] = mean[count + j]! / updates;
    }
    this.#prices.keep = mean[2 * count]! / updates;
    mean.fill(0);
  }
}
