import { indexData } from '../data/index/index-data.ts';
import type { ListedIndex } from '../data/index/types.ts';
import { foreign } from '../recipe/reading.ts';
import { hashJson } from '../runtime/hash.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { FilterSettings } from './settings.ts';

// Raise it when the same settings would give other weights than before.
const version = 1;

/** Pictures, or embeddings, that one comparison holds. */
const examplesOfPartition = 100_000;

/** A filter, resolved: everything that its activities need, once and for all. It grows with the shards alone. */
export interface FilterPlan {
  readonly settings: FilterSettings;
  readonly index: ListedIndex;
  /** sha256 of all that the weights depend on: settings, models and data. */
  readonly filter: string;
  /** Parts that examples are compared in. */
  readonly partitions: number;
}

/** One kind of work, done for each of so many parts before the next begins. */
export interface FilterStage {
  readonly step: FilterStep;
  readonly parts: number;
}

export type FilterStep = 'look' | 'compare' | 'settle' | 'weigh';

/** Looks at all that a filter names. RecipeInvalid or DataContract, before anything is spent. */
export async function planFilter(store: ObjectStore, settings: FilterSettings): Promise<FilterPlan> {
  const { document, fingerprint } = await indexData(store, settings.data, foreign(settings.read));
  const index = document as ListedIndex;
  const { name: _, data: __, ...how } = settings;
  const filter = hashJson({ version, how, fingerprint });
  return { settings, index, filter, partitions: Math.max(1, Math.ceil(index.examples / examplesOfPartition)) };
}

/** What is to be done, in this order. */
export function stagesOf({ settings, index, partitions }: FilterPlan): FilterStage[] {
  const shards = index.shards.length;
  return [
    { step: 'look', parts: shards },
    ...(settings.duplicates
      ? ([
          { step: 'compare', parts: partitions },
          { step: 'settle', parts: 1 },
        ] as const)
      : []),
    { step: 'weigh', parts: shards },
  ];
}

/** The global number of the first example of each shard, and the one behind the last. */
export function startsOf({ index }: Pick<FilterPlan, 'index'>): number[] {
  const starts = [0];
  for (const { examples } of index.shards) starts.push(starts.at(-1)! + examples);
  return starts;
}
