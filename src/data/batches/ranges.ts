/** What an order knows of a shard. */
export interface OrderShard {
  readonly examples: number;
  readonly bytes: number;
}

/** Consecutive examples of a shard: what is fetched together. */
export interface RangeRef {
  readonly shard: number;
  /** Those that have a text in it alone, counted without the others; absent: all. */
  readonly language?: string;
  readonly first: number;
  readonly count: number;
}

/** How large the ranges are that shards are cut into, at most. */
export interface RangeSize {
  readonly bytes: number;
  readonly examples: number;
}

/**
 * All shards cut into ranges of about the same size, numbered in the order of the shards. It keeps one number a shard: a
 * million ranges cost nothing.
 */
export class Ranges {
  readonly #shards: readonly OrderShard[];
  /** Number of the first range of each shard, and that behind the last. */
  readonly #firsts: Float64Array;

  constructor(shards: readonly OrderShard[], { bytes, examples }: RangeSize) {
    this.#shards = shards;
    this.#firsts = new Float64Array(shards.length + 1);
    for (const [i, shard] of shards.entries()) {
      const parts = Math.max(1, Math.ceil(shard.bytes / bytes), Math.ceil(shard.examples / examples));
      this.#firsts[i + 1] = this.#firsts[i]! + Math.min(parts, shard.examples);
    }
  }

  get count(): number {
    return this.#firsts[this.#shards.length]!;
  }

  at(number: number): RangeRef {
    const shard = lastNotAbove(this.#firsts, number);
    const parts = this.#firsts[shard + 1]! - this.#firsts[shard]!;
    const part = number - this.#firsts[shard]!;
    const { examples } = this.#shards[shard]!;
    const first = Math.floor((part * examples) / parts);
    return { shard, first, count: Math.floor(((part + 1) * examples) / parts) - first };
  }
}

/** Place of the last of some ascending numbers that is not above `value`; the first of them never is. */
export function lastNotAbove(ascending: Float64Array, value: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (ascending[middle]! <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}
