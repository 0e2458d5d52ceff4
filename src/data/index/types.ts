import type { DataSettings } from '../../recipe/schema.ts';
import type { NaflexBatches } from '../../recipe/steps.ts';
import type { Alike } from '../batches/alike.ts';
import type { BatchPartSettings } from '../batches/batch-parts.ts';
import type { Region } from '../example/regions.ts';

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

/** The JSON member of an example. The first caption of a language is its label, the others are tags. */
export interface ExampleMeta {
  readonly key: string;
  readonly captions: Readonly<Record<string, readonly string[]>>;
  /** Class for zero-shot evaluation: examples of equal concept show the same thing. */
  readonly concept: string;
  /** Described parts of the image. */
  readonly regions?: readonly Region[];
  /** Where the example comes from: curation says how much of each source it chose. */
  readonly source?: string;
  readonly style?: string;
  readonly hexcode?: string;
}

/** Everything, with the index, that fixes the content of batch k. */
export interface BatchPlan {
  readonly seed: number;
  readonly phase: string;
  readonly batch: number;
  /** Examples of a super-batch, of which a phase with curation trains on `batch`: batches are made of so many. */
  readonly candidates?: number;
  readonly resolution: number;
  readonly textLength: number;
  readonly data: DataSettings;
  /** Sorted token ids that the compacted table holds, or null for the full table. */
  readonly vocabulary: readonly number[] | null;
  /** As in StepSettings. */
  readonly offset?: number;
  /** Images keep their shape, and are cut into patches. */
  readonly naflex?: NaflexBatches & { readonly patch: number };
  /** What objectives need of an example beyond its image and its text. */
  readonly parts?: BatchPartSettings;
}

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
  /** What each example is, where they are candidates: for reports. */
  readonly described?: readonly DescribedExample[];
}

export interface DescribedExample {
  readonly key: string;
  readonly text: string;
  readonly source: string | null;
}

/** Batches in order, prepared ahead in a worker thread. Read errors are retried, never skipped. */
export interface BatchSource {
  next(): Promise<Batch>;
  close(): Promise<void>;
}
