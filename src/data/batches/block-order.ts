import { type Bijection, bijection, permutation, randomStream } from '../../runtime/random.ts';
import { lastNotAbove, type OrderShard, type RangeRef, Ranges } from './ranges.ts';

const mebi = 2 ** 20;
/** Of a block, so that it and the one after it fit into the disk cache of 8 GiB beside what is there of others. */
export const blockBytes = 3 * 1024 * mebi;
/** So many ranges make a block, where they are not too small to be asked for one by one. */
const rangesOfBlock = 256;
const [leastRange, largestRange] = [mebi, 16 * mebi];
/** A range has at most this share of the examples of a block, however small they are. */
const fewestRanges = 64;
const kept = 3;

/** An example, and the range that it comes with. */
export interface PlacedExample {
  readonly shard: number;
  readonly example: number;
  readonly range: RangeRef;
}

export interface Near {
  readonly now: readonly RangeRef[];
  readonly next: readonly RangeRef[];
}

export interface BlockSize {
  /** Examples that are shuffled together, at least, where there are as many and `bytes` has room for them. */
  readonly examples: number;
  /** Bytes of a block, at most. */
  readonly bytes?: number;
}

interface Epoch {
  /** Which range of each group a block takes. */
  readonly groups: readonly Bijection[];
  /** Position of the first example of each block, and the end. */
  readonly starts: Float64Array;
}

interface Block {
  readonly ranges: readonly RangeRef[];
  /** Of its first range on: examples before each. */
  readonly starts: Float64Array;
  readonly order: Uint32Array;
}

/**
 * The endless order of the examples of one source. Shards are cut into ranges; those that follow one another are dealt out
 * to all blocks of an epoch, in another order each time, so that every block has its share of every part of the data, and
 * the examples of a block are permuted. A pure function of (shards, seed, name, j); what is kept between calls only saves
 * time. An epoch costs one number a block, and a block four bytes an example: of 100 million examples in 10,000 shards of
 * 500 MB less than 2 MB.
 */
export class BlockOrder {
  /** Of an epoch. */
  readonly examples: number;
  /** Of an epoch. */
  readonly blocks: number;
  readonly #ranges: Ranges;
  readonly #seed: number;
  readonly #name: string;
  readonly #epochs = new Map<number, Epoch>();
  readonly #blocks = new Map<string, Block>();

  /** @param name of the phase, and of the source where there are several */
  constructor(shards: readonly OrderShard[], seed: number, name: string, size: BlockSize) {
    const sum = (of: (shard: OrderShard) => number) => shards.reduce((total, shard) => total + of(shard), 0);
    const bytes = sum((shard) => (shard.examples === 0 ? 0 : shard.bytes));
    this.examples = sum((shard) => shard.examples);
    const wanted = Math.max(
      1,
      Math.ceil(bytes / (size.bytes ?? blockBytes)),
      Math.floor(this.examples / size.examples),
    );
    const range = bytes / wanted / rangesOfBlock;
    this.#ranges = new Ranges(shards, {
      bytes: Math.min(largestRange, Math.max(leastRange, range)),
      examples: Math.max(1, Math.floor(size.examples / fewestRanges)),
    });
    this.blocks = Math.min(wanted, this.#ranges.count);
    this.#seed = seed;
    this.#name = name;
  }

  /** The j-th example of the source, j >= 0. */
  at(j: number): PlacedExample {
    const { epoch, block, position } = this.#locate(j);
    return placed(this.#block(epoch, block), position);
  }

  /** Another example of the block that the j-th lies in: draw number `attempt` of it. */
  replacement(j: number, attempt: number): PlacedExample {
    const { epoch, block } = this.#locate(j);
    const found = this.#block(epoch, block);
    const random = randomStream(this.#seed, `replacement/${this.#name}`, j, attempt);
    return placed(found, random.below(found.order.length));
  }

  /** Number of the block that the j-th example lies in, counted on over all epochs. */
  blockOf(j: number): number {
    const { epoch, block } = this.#locate(j);
    return epoch * this.blocks + block;
  }

  /** Ranges that are needed from the j-th example on, in that order: of its block, and of the block after it. */
  near(j: number): Near {
    const { epoch, block, position } = this.#locate(j);
    const isLast = block + 1 === this.blocks;
    const next = this.#block(isLast ? epoch + 1 : epoch, isLast ? 0 : block + 1);
    return { now: inOrder(this.#block(epoch, block), position), next: inOrder(next, 0) };
  }

  #locate(j: number): { epoch: number; block: number; position: number } {
    const epoch = Math.floor(j / this.examples);
    const { starts } = this.#epoch(epoch);
    const at = j - epoch * this.examples;
    // The end of the last block is no beginning of another.
    const block = Math.min(this.blocks - 1, lastNotAbove(starts, at));
    return { epoch, block, position: at - starts[block]! };
  }

  #epoch(epoch: number): Epoch {
    return remembered(this.#epochs, epoch, () => {
      const { blocks } = this;
      const { count } = this.#ranges;
      const groups: Bijection[] = [];
      const counts = new Float64Array(blocks);
      for (let first = 0; first < count; first += blocks) {
        const random = randomStream(this.#seed, `blocks/${this.#name}`, epoch, first / blocks);
        const group = bijection(blocks, random);
        groups.push(group);
        for (let block = 0; block < blocks; block++) {
          const range = first + group(block);
          if (range < count) counts[block]! += this.#ranges.at(range).count;
        }
      }
      const starts = new Float64Array(blocks + 1);
      for (const [i, examples] of counts.entries()) starts[i + 1] = starts[i]! + examples;
      return { groups, starts };
    });
  }

  #block(epoch: number, block: number): Block {
    return remembered(this.#blocks, `${epoch}/${block}`, () => {
      const { groups } = this.#epoch(epoch);
      // The last group need not have a range for every block.
      const numbers = groups.map((group, i) => i * this.blocks + group(block));
      const ranges = numbers.filter((number) => number < this.#ranges.count).map((number) => this.#ranges.at(number));
      const starts = new Float64Array(ranges.length);
      for (let i = 1; i < ranges.length; i++) starts[i] = starts[i - 1]! + ranges[i - 1]!.count;
      const count = starts.at(-1)! + ranges.at(-1)!.count;
      const random = randomStream(this.#seed, `examples/${this.#name}`, epoch, block);
      return { ranges, starts, order: permutation(count, random) };
    });
  }
}

function placed({ ranges, starts, order }: Block, position: number): PlacedExample {
  const number = order[position]!;
  const i = lastNotAbove(starts, number);
  const range = ranges[i]!;
  return { shard: range.shard, example: range.first + number - starts[i]!, range };
}

/** Ranges in the order in which they are first needed from a position on; those behind are not needed any more. */
function inOrder({ ranges, starts, order }: Block, from: number): readonly RangeRef[] {
  const seen = new Set<RangeRef>();
  for (let i = from; i < order.length && seen.size < ranges.length; i++)
    seen.add(ranges[lastNotAbove(starts, order[i]!)]!);
  return [...seen];
}

/** Keeps the few latest results: reading is in order, at most across one border. */
function remembered<K, V>(known: Map<K, V>, key: K, make: () => V): V {
  let value = known.get(key);
  if (value === undefined) {
    value = make();
    known.set(key, value);
    if (known.size > kept) known.delete(known.keys().next().value as K);
  }
  return value;
}
