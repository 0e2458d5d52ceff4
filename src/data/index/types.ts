import type { ObjectStore } from '../../storage/object-store.ts';

/** Bytes [offset, offset + size) of a tar shard. */
export interface ByteRange {
  readonly offset: number;
  readonly size: number;
}

/** A member beside a picture with a value for each of its pixels, `NAME.mask.png`; in the order of entries. */
export const pixelKinds = ['mask', 'depth', 'normals'] as const;
export type PixelKind = (typeof pixelKinds)[number];

/** One example of a shard: members that share a name up to the first dot. */
export interface ExampleEntry {
  readonly name: string;
  readonly image: ByteRange;
  /** What says what is to be seen: the JSON member, or that which a mapping names. */
  readonly meta: ByteRange;
  /** The member with the class, where a mapping names one beside `meta`. */
  readonly class?: ByteRange;
  /** Members with a value a pixel, of those that were asked for; none of a kind: the example has none. */
  readonly pixels?: Readonly<Partial<Record<PixelKind, ByteRange>>>;
}

/** How the members of shards that others wrote are read. */
export interface Mapping {
  /** The member with the texts: one in a .txt, one a line of it, a field of a .json, or the name of the class. */
  readonly captions: 'txt' | 'lines' | 'json' | 'class';
  /** Of json; absent: the first that is there of caption, captions and text. */
  readonly field?: string;
  /** Of json, in the place of `field`: several, in the order in which their texts are told. */
  readonly fields?: readonly { readonly field: string; readonly language?: string }[];
  /** Of texts that are not told by language. */
  readonly language: string;
  /** Of json: the field that names the language, where it is not told otherwise. */
  readonly languageField?: string;
  /** The member with the class. */
  readonly class?: 'cls' | 'txt';
  /** Names of the classes from 0 on. They grow with the classes, not with the examples. */
  readonly classnames?: readonly string[];
}

/** All of a mapping that says which members an example is made of. */
export type MemberMapping = Pick<Mapping, 'captions' | 'class'>;

/** A shard as it was indexed. */
export interface IndexedShard {
  readonly key: string;
  readonly bytes: number;
  readonly etag: string;
  /** Of all its bytes as they were indexed, where all were read. */
  readonly sha256?: string;
}

/** What is known of a shard without its entries: a run's document grows with its shards, and not with their examples. */
export interface ShardFacts extends IndexedShard {
  /** How many. */
  readonly examples: number;
  /** Members of it that can't be used, as far as names tell. */
  readonly corrupt: number;
}

/** The examples of a shard, in the order of the tar: that of their numbers everywhere. It never changes. */
export interface ShardEntries {
  readonly length: number;
  /** 0 <= i < length. */
  at(i: number): ExampleEntry;
}

/** A shard and its entries. */
export interface ShardIndex extends IndexedShard {
  readonly examples: readonly ExampleEntry[];
}

/** Something in the data that can't be used: skipped, counted, reported. */
export interface CorruptMember {
  readonly shard: string;
  readonly name: string;
  readonly reason: string;
}

/** Members that were not used, each counted once. At most 1 KB of JSON, whatever the data are. */
export interface SkippedSummary {
  readonly members: number;
  /** There may be more: only so many are told apart. */
  readonly orMore?: true;
  /** By what is wrong with them, most first, and of each reason one of them. */
  readonly reasons: readonly { readonly reason: string; readonly members: number; readonly example: string }[];
}

/** The regions of a data shard, in a file of their own (region-file.ts). */
export interface RegionShard extends IndexedShard {
  /** Byte of the first line of an example; `sha256` is that of what comes from there on. */
  readonly offset: number;
  readonly sha256: string;
}

/** The weights that a filter gave the examples of a data shard, in a file of their own (weight-file.ts). */
export interface WeightShard extends IndexedShard {
  /** Byte of the first weight; `sha256` is that of what comes from there on. */
  readonly offset: number;
  readonly sha256: string;
  /** Sum of the weights. */
  readonly kept: number;
}

/** What lies under a prefix, however many examples that are. */
export interface DataIndex {
  readonly prefix: string;
  /** sha256 over the sorted (key, bytes, etag) of the shards. */
  readonly fingerprint: string;
  readonly examples: number;
  readonly shards: readonly ShardFacts[];
  /** In the order of the shards, those of the first of them where there are very many: each shard has the count of its own. */
  readonly corrupt: readonly CorruptMember[];
  /** Absent: the JSON of this project, or several sources of which each has its own. */
  readonly read?: Mapping;
  /** Members with a value a pixel that entries have; absent: none were asked for. */
  readonly pixels?: readonly PixelKind[];
  /** The sources of a mixture; absent: it is none. */
  readonly sources?: readonly IndexedSource[];
  /** Of the shards, in their order, what a detector found in their pictures; null or absent: nothing is joined. */
  readonly regions?: readonly (RegionShard | null)[];
  /** Of the shards, in their order, what a filter gave their examples; null or absent: all are kept. */
  readonly weights?: readonly (WeightShard | null)[];
  /** What this was opened from, as JSON: `openIndex` makes the same of it in any thread or process. */
  readonly document: StoredIndex;
  /** What it was opened with. */
  readonly store: Pick<ObjectStore, 'bucket' | 'get'>;
  /**
   * The entries of `shards[shard]`. Those of the shards that were asked for last are kept, so asking again is cheap; who
   * holds what this answers holds memory for all examples of the shard. Read errors are thrown, for the caller to try again.
   */
  entriesOf(shard: number): Promise<ShardEntries>;
}

/** An index that has all entries in it, as runs of earlier versions keep it. */
export interface InlineIndex
  extends Pick<DataIndex, 'prefix' | 'fingerprint' | 'examples' | 'corrupt' | 'read' | 'regions' | 'weights'> {
  readonly shards: readonly ShardIndex[];
}

/** How many examples of each shard have a text in some languages: `counts[language][shard]`, `other` being the last. */
export interface SpokenCounts {
  readonly languages: readonly string[];
  readonly counts: readonly (readonly number[])[];
}

/** Shards of an index that belong to one source of a mixture. */
export interface IndexedSource {
  readonly name: string;
  /** Number of its first shard, and how many it has. */
  readonly first: number;
  readonly shards: number;
  /** Absent: the JSON of this project. */
  readonly read?: Mapping;
  /** Where its languages are drawn by weight over examples; absent in indexes of before, whose examples are passed over. */
  readonly spoken?: SpokenCounts;
  /** Of it alone, whose shards are numbered from 0 on. */
  readonly index: DataIndex;
}

/** A shard whose entries lie in an object of their own, which its key, bytes and ETag name (index-object.ts). */
export interface ListedShard extends ShardFacts {
  /** Of that object; `sha256` of its header, which has that of the rest. */
  readonly index: { readonly bytes: number; readonly sha256: string };
}

/** An index that names shards, counts and hashes: a few hundred bytes a shard, however many examples it has. */
export interface ListedIndex
  extends Pick<
    DataIndex,
    'prefix' | 'fingerprint' | 'examples' | 'corrupt' | 'read' | 'pixels' | 'regions' | 'weights'
  > {
  readonly version: 2;
  readonly shards: readonly ListedShard[];
}

/** Indexes that are trained on together, as they lie in a bucket or in a file. */
export interface MixedDocument extends Pick<DataIndex, 'prefix' | 'fingerprint' | 'examples' | 'corrupt'> {
  readonly mixture: readonly { readonly name: string; readonly index: StoredIndex; readonly spoken?: SpokenCounts }[];
  /** Each source has its own. */
  readonly read?: never;
}

/** An index as it lies in a bucket or in a file. */
export type StoredIndex = InlineIndex | ListedIndex | MixedDocument;
