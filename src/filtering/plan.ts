import type { CheckpointRef } from '../checkpoint/types.ts';
import { indexData } from '../data/index/index-data.ts';
import type { ListedIndex } from '../data/index/types.ts';
import { embeddingWidth, type ModelConfig } from '../model/sizes.ts';
import { foreign } from '../recipe/reading.ts';
import { hashJson } from '../runtime/hash.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { FilterSettings } from './settings.ts';

// Raise it when the same settings would give other weights than before.
const version = 1;

/** Pictures, or embeddings, that one comparison holds. */
const examplesOfPartition = 100_000;

/** A filter, resolved: everything that its activities need, once and for all. It grows with the shards alone. */
/** The model of a filter, as it was found. */
export interface FilterModel {
  /** For people: run/phase@step. */
  readonly name: string;
  readonly checkpoint: CheckpointRef;
  readonly config: ModelConfig;
}

export interface FilterPlan {
  readonly settings: FilterSettings;
  readonly index: ListedIndex;
  /** sha256 of all that the weights depend on: settings, models and data. */
  readonly filter: string;
  readonly model?: FilterModel & {
    /** Of an embedding. */
    readonly width: number;
    /** sha256 of all that embeddings and cosines depend on. */
    readonly embedding: string;
  };
  /** Parts that examples are compared in. */
  readonly partitions: number;
}

/** One kind of work, done for each of so many parts before the next begins. */
export interface FilterStage {
  readonly step: FilterStep;
  readonly parts: number;
}

export type FilterStep =
  | 'embed'
  | 'bound'
  | 'look'
  | 'compare'
  | 'settle'
  | 'cluster'
  | 'assign'
  | 'compareEmbeddings'
  | 'settleEmbeddings'
  | 'balance'
  | 'weigh';

/** Looks at all that a filter names. RecipeInvalid or DataContract, before anything is spent. */
export async function planFilter(
  store: ObjectStore,
  settings: FilterSettings,
  found: FilterModel | null,
): Promise<FilterPlan> {
  const { document, fingerprint } = await indexData(store, settings.data, foreign(settings.read));
  const index = document as ListedIndex;
  const { name: _, data: __, model: ___, ...how } = settings;
  const { agreement, resize } = settings;
  const model = found && {
    ...found,
    width: embeddingWidth(found.config),
    embedding: hashJson({
      version,
      model: found.checkpoint.sha256,
      resize,
      languages: agreement?.languages,
      fingerprint,
    }),
  };
  const filter = hashJson({ version, how, fingerprint, model: found?.checkpoint.sha256 });
  return {
    settings,
    index,
    filter,
    ...(model && { model }),
    partitions: Math.max(1, Math.ceil(index.examples / examplesOfPartition)),
  };
}

/** What is to be done, in this order. */
export function stagesOf({ settings, index, partitions }: FilterPlan): FilterStage[] {
  const shards = index.shards.length;
  const { agreement, embeddingDuplicates } = settings;
  const each = (step: FilterStep, parts = 1) => [{ step, parts }];
  return [
    ...((agreement ?? embeddingDuplicates) ? [...each('embed', shards), ...each('bound')] : []),
    ...each('look', shards),
    ...(settings.duplicates ? [...each('compare', partitions), ...each('settle')] : []),
    ...(embeddingDuplicates
      ? [
          ...each('cluster'),
          ...each('assign', shards),
          ...each('compareEmbeddings', partitions),
          ...each('settleEmbeddings'),
        ]
      : []),
    ...(settings.balance ? each('balance') : []),
    ...each('weigh', shards),
  ];
}

/** The global number of the first example of each shard, and the one behind the last. */
export function startsOf({ index }: Pick<FilterPlan, 'index'>): number[] {
  const starts = [0];
  for (const { examples } of index.shards) starts.push(starts.at(-1)! + examples);
  return starts;
}
