import type { Region } from '../data/example/regions.ts';

/** Texts by language. */
export type Captions = Readonly<Record<string, readonly string[]>>;

/** What a picture is said to be: the JSON member of the shards. */
export interface PackedMeta {
  readonly key: string;
  readonly captions: Captions;
  readonly concept?: string;
  readonly regions?: readonly Region[];
  readonly source?: string;
  /** Texts that are wrong for the picture: a list for whatever language, or lists by language. */
  readonly negatives?: readonly string[] | Captions;
}

/** One row or file of what is packed. */
export interface Item {
  /** What reports call it. */
  readonly name: string;
  /** Why it can't be used, where that is known already. */
  readonly fault?: string;
  /** Where its picture lies in the bucket; absent where the table holds it. */
  readonly key?: string;
  /** Of the picture, where the listing said it. */
  readonly bytes?: number;
  readonly etag?: string;
  /** Where its text lies. */
  readonly txt?: string;
  readonly meta?: PackedMeta;
}

/** A table or a file of text that was listed. */
export interface Table {
  readonly key: string;
  readonly bytes: number;
  readonly etag: string;
}

/** Which columns say what; `captions` with the language of each. */
export interface Columns {
  readonly image: string;
  readonly captions: Readonly<Record<string, string>>;
  readonly class?: string;
  readonly classnames?: readonly string[];
  /** Those of `besideColumns` that a table has which holds its pictures; absent where it has none. */
  readonly beside?: readonly string[];
}

/** What one activity reads: items that were listed, or rows of a table that holds its pictures. */
export type Part =
  | { readonly kind: 'items'; readonly items: readonly Item[] }
  | {
      readonly kind: 'parquet';
      readonly table: Table;
      readonly columns: Columns;
      /** Row groups: first row, and the one behind the last. */
      readonly groups: readonly (readonly [number, number])[];
    };

/** What a listing found: parts, and how many items each has. */
export interface Listing {
  readonly layout: string;
  readonly counts: readonly number[];
  /** Pictures below the prefix, where rows name pictures: those that no row names are told by it. */
  readonly pictures?: number;
  /** Rows of other splits. */
  readonly otherSplits: number;
  /** Files that are neither pictures nor read, by kind. */
  readonly others: Readonly<Record<string, number>>;
  /** sha256 over all parts. */
  readonly sha256: string;
}

/** What is left out, by reason, with the first names of each. */
export type Dropped = Readonly<Record<string, { readonly pictures: number; readonly names: readonly string[] }>>;

/** What of a part can be used; it is there once its hashes and texts are. */
export interface Found {
  /** sha256 of the part. */
  readonly part: string;
  readonly usable: number;
  /** Pictures of the bucket that it names, each once. */
  readonly named: number;
  readonly dropped: Dropped;
}

export interface PackedShard {
  readonly key: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly examples: number;
}

/** What became of a part. */
export interface Packed {
  readonly shards: readonly PackedShard[];
  readonly examples: number;
  /** Texts that came from duplicates. */
  readonly joined: number;
  /** What could be read and not be written. */
  readonly dropped: Dropped;
}
