import { permutation, randomStream } from '../../runtime/random.ts';

/** After so many draws every source has had its weight exactly, to the nearest of them. */
const period = 100_000;
/** Draws whose order is shuffled together: in each each source has its share, to the nearest one or two. */
const window = 250;
const windows = period / window;
const kept = 8;

/** A draw: from which source, and how often that was drawn before. */
export interface SourceDraw {
  readonly source: number;
  readonly draw: number;
}

interface Window {
  readonly sources: Uint16Array;
  /** How often the source of each draw was drawn before it since the beginning of the window. */
  readonly ranks: Uint16Array;
}

/**
 * Which source the k-th example of a phase comes from, by weight. In 100,000 draws each source has its weight by largest
 * remainder, so weights in thousandths of a percent are met exactly; those draws are laid out evenly, and 250 that follow
 * one another are shuffled. A pure function of (weights, seed, name, k): how often a source was drawn before is looked up,
 * not counted. It takes 200 KB and 1.6 KB a source, whatever k is.
 */
export class MixtureOrder {
  readonly #seed: number;
  readonly #name: string;
  /** Draws of each source in a period. */
  readonly quotas: readonly number[];
  /** Source of each draw of a period, before it is shuffled. */
  readonly #plan: Uint16Array;
  /** By window, then source: draws since the beginning of the period. */
  readonly #before: Uint32Array;
  readonly #windows = new Map<number, Window>();

  constructor(weights: readonly number[], seed: number, name: string) {
    this.#seed = seed;
    this.#name = name;
    this.quotas = quotasOf(weights, period);
    this.#plan = spreadOut(this.quotas);
    const { length } = weights;
    this.#before = new Uint32Array((windows + 1) * length);
    for (let w = 0; w < windows; w++) {
      this.#before.copyWithin((w + 1) * length, w * length, (w + 1) * length);
      for (const source of this.#plan.subarray(w * window, (w + 1) * window))
        this.#before[(w + 1) * length + source]!++;
    }
  }

  at(k: number): SourceDraw {
    const number = Math.floor(k / window);
    const { sources, ranks } = this.#shuffled(number);
    const at = k - number * window;
    const source = sources[at]!;
    return { source, draw: this.#beforeWindow(number, source) + ranks[at]! };
  }

  /** How often a source was drawn before the k-th draw. */
  before(k: number, source: number): number {
    const number = Math.floor(k / window);
    const { sources } = this.#shuffled(number);
    const own = sources.subarray(0, k - number * window).reduce((sum, one) => sum + (one === source ? 1 : 0), 0);
    return this.#beforeWindow(number, source) + own;
  }

  #beforeWindow(number: number, source: number): number {
    const whole = Math.floor(number / windows);
    return whole * this.quotas[source]! + this.#before[(number % windows) * this.quotas.length + source]!;
  }

  #shuffled(number: number): Window {
    const known = this.#windows.get(number);
    if (known) return known;
    const plan = this.#plan.subarray((number % windows) * window, ((number % windows) + 1) * window);
    const order = permutation(window, randomStream(this.#seed, `mixture/${this.#name}`, number));
    const sources = Uint16Array.from(order, (at) => plan[at]!);
    const seen = new Uint16Array(this.quotas.length);
    const ranks = sources.map((source) => seen[source]!++);
    const made = { sources, ranks };
    this.#windows.set(number, made);
    if (this.#windows.size > kept) this.#windows.delete(this.#windows.keys().next().value!);
    return made;
  }
}

/** Whole numbers that sum up to `total` and are in the ratio of the weights, by largest remainder; none is 0. */
export function quotasOf(weights: readonly number[], total: number): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  const exact = weights.map((weight) => (weight / sum) * total);
  const quotas = exact.map((share) => Math.max(1, Math.floor(share)));
  const byRemainder = exact
    .map((share, i) => ({ i, rest: share - Math.floor(share) }))
    .sort((a, b) => b.rest - a.rest || a.i - b.i);
  let left = total - quotas.reduce((a, b) => a + b, 0);
  for (let at = 0; left > 0; at++, left--) quotas[byRemainder[at % quotas.length]!.i]!++;
  // Sources of almost no weight have had one draw each: the largest gives it.
  for (; left < 0; left++) quotas[quotas.indexOf(Math.max(...quotas))]!--;
  return quotas;
}

/** Draws of each source at equal distances, in the middle of its part of the period. */
function spreadOut(quotas: readonly number[]): Uint16Array {
  const draws = quotas.flatMap((quota, source) =>
    Array.from({ length: quota }, (_, i) => ({ source, at: (i + 0.5) / quota })),
  );
  return Uint16Array.from(
    draws.sort((a, b) => a.at - b.at || a.source - b.source),
    ({ source }) => source,
  );
}
