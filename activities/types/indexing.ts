import type { Document } from './document.ts';
import type { PlanInput } from './plan.ts';
import type { ReplanInput } from './shard.ts';

/** What is to be planned: a run, a phase anew, a filter, or embeddings. */
export type FindShardsInput =
  | PlanInput
  | (Pick<ReplanInput, 'plan' | 'overrides'> & { readonly run: string })
  | { readonly filter: unknown }
  | { readonly embedding: unknown };

/** Shards that have no index yet, or no token set; null where they are few, which planning reads itself. */
export interface UnindexedShards {
  readonly document: Document | null;
  /** What is to be looked at in their texts; absent where nothing is. */
  readonly texts?: Document;
  readonly shards: number;
}

export interface IndexShardsInput {
  readonly document: Document;
  readonly texts?: Document;
  /** Numbers of the first of them, and of the one after the last. */
  readonly from: number;
  readonly to: number;
}
