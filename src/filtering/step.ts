import { isExact } from '../packing/edges.ts';
import { fateBytes } from '../packing/resolve.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { type FilterKeys, filterKeys } from './keys.ts';
import type { FilterPlan } from './plan.ts';
import { Verdicts } from './verdicts.ts';

/** One part of one step, and what it works with. */
export interface StepOf {
  readonly store: ObjectStore;
  readonly plan: FilterPlan;
  readonly keys: FilterKeys;
  /** Number of the data shard, or of the partition. */
  readonly part: number;
  /** A folder of the local disk that is this attempt's own; it need not be there. */
  readonly folder: string;
  /** Says what is done; throws when nobody wants it any more. */
  doing(text: string): void;
}

export const keysOf = ({ settings: { name }, filter, model }: FilterPlan): FilterKeys =>
  filterKeys(name, filter, model?.embedding);

export function shardOf({ plan: { index }, part }: Pick<StepOf, 'plan' | 'part'>) {
  const shard = index.shards[part];
  if (shard) return shard;
  throw new RunnerError('DataContract', `there is no data shard ${part}, there are ${index.shards.length}`);
}

/** Examples of each shard. */
export const countsOf = ({ index }: FilterPlan): number[] => index.shards.map(({ examples }) => examples);

export const putJson = (store: ObjectStore, key: string, value: object) =>
  store.put(key, JSON.stringify(value), { contentType: 'application/json' });

export const readJson = async <T>(store: Pick<ObjectStore, 'get'>, key: string): Promise<T> =>
  JSON.parse((await store.get(key)).toString('utf8')) as T;

/** What is said of the examples of a shard up to now: by itself, and by what it was compared with. */
export async function verdictsOf(
  { store, plan: { settings }, keys, part }: Pick<StepOf, 'store' | 'plan' | 'keys' | 'part'>,
  by: { readonly embeddings: boolean },
): Promise<Verdicts> {
  const verdicts = Verdicts.decode(await store.get(keys.looked(part)));
  const mask = async (key: string, reason: (flags: number) => string) => {
    const fates = await store.get(key);
    for (let at = 0; at < fates.length; at += fateBytes)
      verdicts.mask(fates.readUInt32LE(at), reason(fates.readUInt32LE(at + 8)));
  };
  if (settings.duplicates)
    await mask(keys.pictures.fates(part), (flags) =>
      flags & isExact ? 'duplicates: equal pixels' : 'duplicates: near',
    );
  const near = settings.embeddingDuplicates;
  if (near && by.embeddings)
    await mask(keys.embeddings.fates(part), () => `embeddingDuplicates: a cosine of ${near.cosine} or more`);
  return verdicts;
}
