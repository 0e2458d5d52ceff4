import { mostBroken, percent } from '../../recipe/reading.ts';
import type { DataSettings } from '../../recipe/schema.ts';
import { RunnerError } from '../../runtime/errors.ts';
import type { CorruptMember, DataIndex } from '../index/types.ts';
import type { ExampleRef } from './order.ts';

interface Met {
  readonly seen: Uint8Array;
  /** That planning had found already. */
  readonly planned: number;
  count: number;
}

/**
 * Counts the examples of each shard that can't be read, and stops where there are more than the recipe allows: planning
 * reads texts alone, so of pictures it shows only here. An example takes one bit, in shards that have a broken one.
 */
export class BrokenShards {
  readonly #index: DataIndex;
  readonly #most: number | null;
  readonly #met = new Map<number, Met>();

  constructor(index: DataIndex, data: Pick<DataSettings, 'read' | 'maxBroken' | 'mixture' | 'shuffle' | 'filter'>) {
    this.#index = index;
    // Recipes of before were trained whatever their pictures are.
    const judged = data.read ?? data.maxBroken ?? data.mixture ?? data.shuffle ?? data.filter;
    this.#most = judged !== undefined ? mostBroken(data) : null;
  }

  /** One that can't be read, as often as it is met. Throws DataContract where it is one too many. */
  add({ shard: number, example }: ExampleRef, { name, reason }: CorruptMember): void {
    if (this.#most === null) return;
    const { key, examples } = this.#index.shards[number]!;
    const met = this.#met.get(number) ?? this.#begin(number);
    const bit = 1 << (example % 8);
    if (met.seen[example >> 3]! & bit) return;
    met.seen[example >> 3]! |= bit;
    met.count++;
    const of = examples + met.planned;
    if (met.count <= this.#most * of) return;
    throw new RunnerError(
      'DataContract',
      `data: ${met.count} of the ${of} examples of ${key} can't be used, the last because: ${reason} (${name}), and data.maxBroken allows ${percent(this.#most)}; npm run siglip2 -- data look ${key.slice(0, key.lastIndexOf('/'))} --all names them; retryPhase {"maxBroken": 0.2} goes on with more`,
    );
  }

  #begin(number: number): Met {
    const { examples, corrupt: planned } = this.#index.shards[number]!;
    const met = { seen: new Uint8Array(Math.ceil(examples / 8)), planned, count: planned };
    this.#met.set(number, met);
    return met;
  }
}
