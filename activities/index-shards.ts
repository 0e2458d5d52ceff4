import { join } from 'node:path';
import pMap from 'p-map';
import { runPrefix } from '../src/checkpoint/keys.ts';
import { recipePlaces } from '../src/data/example/recipe-data.ts';
import { shardsOf } from '../src/data/index/index-data.ts';
import { indexKey, memberKinds } from '../src/data/index/index-object.ts';
import { indexShard } from '../src/data/index/index-shard.ts';
import type { IndexedShard, MemberMapping } from '../src/data/index/types.ts';
import { filterPrefix } from '../src/filtering/keys.ts';
import { parseFilter } from '../src/filtering/settings.ts';
import { readRecipe } from '../src/recipe/parse.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { foreign } from '../src/recipe/reading.ts';
import { isRunnerError } from '../src/runtime/errors.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { keepDocumentBelow, readDocumentAs } from './documents.ts';
import { beat } from './heartbeat.ts';
import { otherSource } from './other-source.ts';
import type { FindShardsInput, IndexShardsInput, UnindexedShards } from './types.ts';

/** What planning reads by itself: it takes less time than handing it out. */
const fewShards = 16;
const fewBytes = 1024 ** 3;

/** Questions whether an index is there, and shards that are read, at once. */
const askedAtOnce = 64;
const readAtOnce = 8;

/** A shard that has no index yet. Of how it is read only what its index depends on. */
interface Unindexed extends IndexedShard {
  readonly read?: MemberMapping;
}

/**
 * Lists the shards that a plan is to be made of and that have no index yet, where those are many. What is wrong with the data
 * the plan says, with everything else.
 */
export async function findShards(
  { store, scratch }: Dependencies,
  input: FindShardsInput,
  attempt: Attempt,
): Promise<UnindexedShards> {
  const heart = beat(attempt);
  try {
    const missing = new Map<string, Unindexed>();
    for (const { train, read } of await placesOf(store, join(scratch, 'documents'), input)) {
      const found = await unlessWrong(() => shardsOf(store, train, read));
      if (!found) continue;
      const members = memberKinds(found.read);
      const how = found.read && { captions: found.read.captions, ...(found.read.class && { class: found.read.class }) };
      await pMap(
        found.found,
        async ({ key, bytes, etag }) => {
          const own = indexKey({ key, bytes, etag }, members);
          if (!missing.has(own) && !(await store.head(own)))
            missing.set(own, { key, bytes, etag, ...(how && { read: how }) });
        },
        { concurrency: askedAtOnce },
      );
    }
    // In one order, whichever answer came first.
    const shards = [...missing].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, shard]) => shard);
    const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
    if (shards.length <= fewShards && bytes <= fewBytes) return { document: null, shards: 0 };
    const below = 'filter' in input ? filterPrefix(parseFilter(input.filter).name) : `${runPrefix(input.run)}data/`;
    return { document: await keepDocumentBelow(store, below, 'unindexed', shards), shards: shards.length };
  } finally {
    heart.stop();
  }
}

/** Makes the indexes of some of those shards. Doing it again makes the same ones. */
export async function indexShards(
  { store, scratch }: Dependencies,
  { document, from, to }: IndexShardsInput,
  attempt: Attempt,
): Promise<{ shards: number }> {
  let done = 0;
  const heart = beat(attempt, () => ({ done, of: to - from }));
  try {
    const shards = await readDocumentAs<Unindexed[]>(store, document, join(scratch, 'documents'));
    await pMap(
      shards.slice(from, to),
      async ({ read, ...shard }) => {
        attempt.signal.throwIfAborted();
        // An attempt before this one may have made it.
        const key = indexKey(shard, memberKinds(read));
        if (!(await store.head(key))) await unlessWrong(() => indexShard(store, shard, read));
        done++;
      },
      { concurrency: readAtOnce },
    );
    return { shards: done };
  } finally {
    heart.stop();
  }
}

/** The places that a recipe names, or that a phase is to have from now on. */
async function placesOf(store: ObjectStore, documents: string, input: FindShardsInput) {
  if ('filter' in input) {
    const { data, read } = parseFilter(input.filter);
    return [{ train: data, read: foreign(read) }];
  }
  if ('recipe' in input) {
    const { recipe } = readRecipe(input.recipe);
    return recipe ? recipePlaces(recipe) : [];
  }
  const { plan, overrides } = input;
  if ((overrides.data ?? overrides.read) === undefined) return [];
  const { batches } = await readDocumentAs<PhaseSettings>(store, plan.settings, documents);
  const { train, read } = otherSource({ batches }, overrides);
  return [{ train, read: foreign(read) }];
}

/** Null for what trying again does not mend. */
async function unlessWrong<T>(look: () => Promise<T>): Promise<T | null> {
  try {
    return await look();
  } catch (error) {
    if (!isRunnerError(error) || error.retryable) throw error;
    return null;
  }
}
