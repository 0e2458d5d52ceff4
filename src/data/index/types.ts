/** Bytes [offset, offset + size) of a tar shard. */
export interface ByteRange {
  readonly offset: number;
  readonly size: number;
}

/** One example of a shard: an image member and a JSON member that share a name up to the first dot. */
export interface ExampleEntry {
  readonly name: string;
  readonly image: ByteRange;
  readonly meta: ByteRange;
}

export interface ShardIndex {
  readonly key: string;
  readonly bytes: number;
  readonly etag: string;
  readonly examples: readonly ExampleEntry[];
}

/** Something in the data that can't be used: skipped, counted, reported. */
export interface CorruptMember {
  readonly shard: string;
  readonly name: string;
  readonly reason: string;
}

/** What lies under a prefix. `fingerprint`: sha256 over the sorted (key, bytes, etag) of its shards. */
export interface DataIndex {
  readonly prefix: string;
  readonly fingerprint: string;
  readonly examples: number;
  readonly shards: readonly ShardIndex[];
  readonly corrupt: readonly CorruptMember[];
}
