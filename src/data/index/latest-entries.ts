import type { ShardEntries } from './types.ts';

/** Entries of a shard, and the bytes that they hold. */
export type SizedEntries = ShardEntries & { readonly bytes: number };

/** Shards whose examples are shuffled together stay in memory: a hundred of 10,000 examples each. */
const mostBytes = 64 * 1024 * 1024;
/** Of shards that are larger than that, those of a pair that is read in turns. */
const fewestShards = 2;

/** The entries of the shards that were asked for last, within a bound of bytes whatever the number of shards is. */
export class LatestEntries {
  readonly #load: (shard: number) => Promise<SizedEntries>;
  readonly #most: number;
  readonly #kept = new Map<number, { entries: Promise<SizedEntries>; bytes: number }>();
  #bytes = 0;

  constructor(load: (shard: number) => Promise<SizedEntries>, most = mostBytes) {
    this.#load = load;
    this.#most = most;
  }

  of(shard: number): Promise<ShardEntries> {
    const known = this.#kept.get(shard);
    if (known) {
      // The order of a map is that of insertion: the last ones were asked for last.
      this.#kept.delete(shard);
      this.#kept.set(shard, known);
      return known.entries;
    }
    const own = { entries: this.#load(shard), bytes: 0 };
    this.#kept.set(shard, own);
    own.entries.then(
      ({ bytes }) => {
        if (this.#kept.get(shard) !== own) return;
        own.bytes = bytes;
        this.#bytes += bytes;
        this.#makeRoom();
      },
      () => this.#kept.delete(shard),
    );
    return own.entries;
  }

  #makeRoom(): void {
    for (const [shard, { bytes }] of this.#kept) {
      if (this.#bytes <= this.#most || this.#kept.size <= fewestShards) return;
      // What is on its way is wanted now.
      if (bytes === 0) continue;
      this.#kept.delete(shard);
      this.#bytes -= bytes;
    }
  }
}
