import type { CorruptMember } from '../index/types.ts';
import type { Alike } from './alike.ts';
import type { PartValues } from './batch-part.ts';

/** What step k of a phase trains on, in memory: the examples that `PhaseSteps` names, of the endless order. */
export interface Batch {
  readonly index: number;
  /** Patches of an image; absent when the images are squares. */
  readonly length?: number;
  /** (B, R, R, 3) uint8, or patches (B, L, p p 3) uint8. Not yet normalised: that happens in the graph. */
  readonly images: Uint8Array;
  /** (B, L) int32, compacted when the plan has a vocabulary. */
  readonly tokens: Int32Array;
  /** Of patches `patchMask` (B, L) and `spatialShapes` (B, 2); and what objectives need beyond that, by the names of their feeds: the rows of an example lie together. */
  readonly parts: Readonly<Record<string, Uint8Array | Int32Array | Float32Array>>;
  /** Examples of this batch that could not be decoded and were replaced. */
  readonly skipped: readonly CorruptMember[];
  /** Examples that were passed over, since a filter leaves them out or they have no text in a language that is drawn; absent in recipes that count them as skipped. */
  readonly filtered?: number;
  /** How often the examples of each source of a mixture were drawn up to its end, by name. */
  readonly epochs?: Readonly<Record<string, number>>;
  /** Where nothing tells the examples apart by their pictures, or by their texts. */
  readonly alike?: Alike;
  /** How many of its examples come from each source that is named, and have their text in each language. */
  readonly drawn?: Drawn;
  /** What each example is, where they are candidates: for reports. */
  readonly described?: readonly DescribedExample[];
}

export interface Drawn {
  readonly sources: Readonly<Record<string, number>>;
  readonly languages: Readonly<Record<string, number>>;
}

export interface DescribedExample {
  readonly key: string;
  readonly text: string;
  /** Of the text; absent in what older versions wrote. */
  readonly language?: string;
  readonly source: string | null;
}

/** Rows of a batch that follow one another, as they are made, sent and kept. `alike` is of all rows up to these. */
export interface Piece extends Batch {
  /** Number of its first row within the batch, its rows, and those of the whole batch. */
  readonly first: number;
  readonly count: number;
  readonly of: number;
}

/** Arrays by the names of their feeds: the rows of an example lie together in each. */
export type Arrays = Readonly<Record<string, PartValues>>;

/** What is known of a batch once all of it is made. */
export type BatchFacts = Pick<Batch, 'index' | 'skipped' | 'filtered' | 'epochs' | 'alike' | 'drawn' | 'described'>;

export interface RowsOptions {
  /** The arrays that are wanted; all if not given. */
  readonly names?: readonly string[] | undefined;
  /** No row up to these is asked for again. */
  readonly last?: boolean;
}

/** A batch that may still be in the making, and that may lie on the disk in part. */
export interface BatchRows {
  readonly index: number;
  /** Patches of an image; absent when the images are squares. */
  readonly length?: number;
  /** Rows. */
  readonly count: number;
  /** The arrays of `count` rows from `first` on, once they are made. They are only to be read. */
  rows(first: number, count: number, options?: RowsOptions): Promise<Arrays>;
  /** A batch of these rows, kept beside this one, with the arrays that are not named in `without`. */
  picked(rows: Int32Array, without: readonly string[]): Promise<BatchRows>;
  /** Waits until all rows are made. */
  facts(): Promise<BatchFacts>;
  /** Lets all rows go, those too that are yet to come. */
  close(): void;
}

/** Batches in order, prepared ahead in a worker thread. Read errors are retried, never skipped. */
export interface BatchSource {
  /** Milliseconds that were waited for rows up to now. */
  readonly waited: number;
  /** The next batch, once its first rows are made. */
  next(): Promise<BatchRows>;
  close(): Promise<void>;
}
