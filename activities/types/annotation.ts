import type { AnnotationCounts } from '../../src/annotation/counts.ts';
import type { SkippedSummary } from '../../src/data/index/types.ts';
import type { Document } from './document.ts';

/** A detector is to find regions in the pictures of shards. */
export interface AnnotatePlan {
  /** AnnotationPlan. */
  readonly document: Document;
  readonly shards: number;
  readonly out: string;
}

export interface AnnotateShardInput {
  readonly plan: AnnotatePlan;
  /** Number of the data shard in the plan. */
  readonly shard: number;
}

/** One file of regions, and what its pictures came to. */
export interface AnnotateShardResult {
  readonly key: string;
  readonly bytes: number;
  readonly counts: AnnotationCounts;
  /** Members that could not be used; null: none. */
  readonly broken: SkippedSummary | null;
}
