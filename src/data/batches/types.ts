import type { CorruptMember } from '../index/types.ts';
import type { Alike } from './alike.ts';

/** What step k of a phase trains on: the examples that `PhaseSteps` names, of the endless order. */
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

/** Batches in order, prepared ahead in a worker thread. Read errors are retried, never skipped. */
export interface BatchSource {
  next(): Promise<Batch>;
  close(): Promise<void>;
}
