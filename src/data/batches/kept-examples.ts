import { randomStream } from '../../runtime/random.ts';
import type { ShardCache } from '../index/shard-cache.ts';
import type { DataIndex } from '../index/types.ts';
import { weightBytes, weightsIn } from '../index/weight-file.ts';
import type { ExampleRef } from './order.ts';

/**
 * Which examples a filter leaves: one of weight w where a number that is drawn for it is below w. It is drawn once for ever, by
 * (seed, key of the shard, number in the shard), so that every epoch and every phase of a run has the same ones, and an
 * example whose weight was raised stays. Of a shard that was looked at one bit an example is kept: 12 MB for 100 million.
 */
export class KeptExamples {
  readonly #index: Pick<DataIndex, 'shards' | 'weights'>;
  readonly #seed: number;
  readonly #shards: Pick<ShardCache, 'read'>;
  readonly #bits = new Map<number, Promise<Uint8Array | null>>();

  constructor(index: Pick<DataIndex, 'shards' | 'weights'>, seed: number, shards: Pick<ShardCache, 'read'>) {
    this.#index = index;
    this.#seed = seed;
    this.#shards = shards;
  }

  async keeps({ shard, example }: Pick<ExampleRef, 'shard' | 'example'>): Promise<boolean> {
    let bits = this.#bits.get(shard);
    if (!bits) {
      bits = this.#drawn(shard);
      this.#bits.set(shard, bits);
      // What could not be read is asked for again.
      bits.catch(() => this.#bits.delete(shard));
    }
    const kept = await bits;
    return kept === null || ((kept[example >> 3]! >> (example & 7)) & 1) === 1;
  }

  async #drawn(shard: number): Promise<Uint8Array | null> {
    const file = this.#index.weights?.[shard];
    if (!file) return null;
    const { key, examples } = this.#index.shards[shard]!;
    const bytes = await this.#shards.read(file, { offset: file.offset, size: examples * weightBytes });
    return keptBits(weightsIn(bytes), this.#seed, key);
  }
}

/** A bit for every example of a shard: whether it is kept. */
export function keptBits(weights: Float32Array, seed: number, shard: string): Uint8Array {
  const bits = new Uint8Array(Math.ceil(weights.length / 8));
  const random = randomStream(seed, `filter/${shard}`);
  for (const [i, weight] of weights.entries()) if (random.next() < weight) bits[i >> 3]! |= 1 << (i & 7);
  return bits;
}
