import { permutation, randomStream } from '../../runtime/random.ts';
import type { DataIndex, ExampleEntry, ShardFacts } from '../index/types.ts';
import type { RangeRef } from './ranges.ts';

/** Position of an example: number of its shard in the index, and number within the shard. */
export interface ExampleRef {
  readonly shard: number;
  readonly example: number;
  /** The range that it comes with; absent: its whole shard. */
  readonly range?: RangeRef;
}

// Shards of a block are on disk at once, and its examples are shuffled together.
const blockBytes = 512 * 1024 * 1024;
const fewestShards = 2;
const blocksKept = 3;

interface Block {
  readonly shards: readonly number[];
  /** Position of its first example within the epoch. */
  readonly start: number;
  readonly count: number;
}

/** All of an index that the order of its examples depends on. */
export interface OrderedData extends Pick<DataIndex, 'examples'> {
  readonly shards: readonly Pick<ShardFacts, 'bytes' | 'examples'>[];
}

/**
 * The endless order of examples: in every epoch shards are permuted and grouped into blocks, and the examples of a
 * block are permuted. A pure function of (index, seed, phase, k); what is kept between calls only saves time.
 */
export class ExampleOrder {
  readonly #shards: OrderedData['shards'];
  readonly #examples: number;
  readonly #seed: number;
  readonly #phase: string;
  readonly #epochs = new Map<number, readonly Block[]>();
  readonly #blocks = new Map<string, { order: Uint32Array; block: Block }>();

  constructor(index: OrderedData, seed: number, phase: string) {
    this.#shards = index.shards;
    this.#examples = index.examples;
    this.#seed = seed;
    this.#phase = phase;
  }

  /** The k-th example of the phase, k >= 0. */
  at(k: number): ExampleRef {
    const epoch = Math.floor(k / this.#examples);
    const { number, position } = this.#locate(k);
    const { order, block } = this.#shuffled(epoch, number);
    let rest = order[position - block.start]!;
    for (const shard of block.shards) {
      const { examples } = this.#shards[shard]!;
      if (rest < examples) return { shard, example: rest };
      rest -= examples;
    }
    throw new RangeError('unreachable: an order holds the numbers below its length');
  }

  /** Shards of the block that example k lies in, then of the block after it: worth having on disk. */
  shardsNear(k: number): readonly number[] {
    const epoch = Math.floor(k / this.#examples);
    const { number } = this.#locate(k);
    const blocks = this.#blocksOf(epoch);
    const next = blocks[number + 1] ?? this.#blocksOf(epoch + 1)[0]!;
    return [...new Set([...blocks[number]!.shards, ...next.shards])];
  }

  #locate(k: number): { number: number; position: number } {
    const position = k % this.#examples;
    const blocks = this.#blocksOf(Math.floor(k / this.#examples));
    let low = 0;
    let high = blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (blocks[middle]!.start <= position) low = middle;
      else high = middle - 1;
    }
    return { number: low, position };
  }

  #blocksOf(epoch: number): readonly Block[] {
    return remember(this.#epochs, epoch, () => {
      const shards = permutation(this.#shards.length, randomStream(this.#seed, `order/${this.#phase}/shards`, epoch));
      const blocks: Block[] = [];
      let members: number[] = [];
      let bytes = 0;
      let start = 0;
      const close = () => {
        const count = members.reduce((sum, shard) => sum + this.#shards[shard]!.examples, 0);
        if (count > 0) blocks.push({ shards: members, start, count });
        start += count;
        members = [];
        bytes = 0;
      };
      for (const shard of shards) {
        const size = this.#shards[shard]!.bytes;
        if (members.length >= fewestShards && bytes + size > blockBytes) close();
        members.push(shard);
        bytes += size;
      }
      close();
      return blocks;
    });
  }

  #shuffled(epoch: number, number: number): { order: Uint32Array; block: Block } {
    return remember(this.#blocks, `${epoch}/${number}`, () => {
      const block = this.#blocksOf(epoch)[number]!;
      const random = randomStream(this.#seed, `order/${this.#phase}/examples`, epoch, number);
      return { order: permutation(block.count, random), block };
    });
  }
}

/** Keeps the few latest results: reading is in order, at most across one border. */
function remember<K, V>(kept: Map<K, V>, key: K, make: () => V): V {
  let value = kept.get(key);
  if (value === undefined) {
    value = make();
    kept.set(key, value);
    if (kept.size > blocksKept) kept.delete(kept.keys().next().value as K);
  }
  return value;
}

const orders = new WeakMap<OrderedData, Map<string, ExampleOrder>>();

/** The k-th example of a phase. A pure function of its arguments. */
export function exampleAt(index: OrderedData, seed: number, phase: string, k: number): ExampleRef {
  const known = orders.get(index) ?? new Map<string, ExampleOrder>();
  orders.set(index, known);
  const key = `${seed}/${phase}`;
  const order = known.get(key) ?? new ExampleOrder(index, seed, phase);
  known.set(key, order);
  return order.at(k);
}

export async function entryOf(
  index: DataIndex,
  { shard, example }: ExampleRef,
): Promise<{ shard: ShardFacts; entry: ExampleEntry }> {
  return { shard: index.shards[shard]!, entry: (await index.entriesOf(shard)).at(example) };
}
