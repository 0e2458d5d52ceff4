import { join } from 'node:path';
import pMap from 'p-map';
import { runPrefix } from '../src/checkpoint/keys.ts';
import { keepSpoken, spokenKey } from '../src/data/example/spoken-lists.ts';
import { keepTokenSet } from '../src/data/example/token-ids.ts';
import { tokenSetKey } from '../src/data/example/token-set.ts';
import { indexKey, memberKinds } from '../src/data/index/index-object.ts';
import { findIndex, indexShard } from '../src/data/index/index-shard.ts';
import { regionsOfShard } from '../src/data/index/join-regions.ts';
import { openIndex } from '../src/data/index/open-index.ts';
import type { IndexedShard } from '../src/data/index/types.ts';
import { embeddingPrefix } from '../src/embeddings/keys.ts';
import { parseEmbedding } from '../src/embeddings/settings.ts';
import { filterPrefix } from '../src/filtering/keys.ts';
import { parseFilter } from '../src/filtering/settings.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { keepDocumentBelow, readDocumentAs } from './documents.ts';
import { beat } from './heartbeat.ts';
import { type MissingShard, missingShards, unlessWrong, type WantedTexts } from './missing-shards.ts';
import type { FindShardsInput, IndexShardsInput, UnindexedShards } from './types/indexing.ts';

/** What planning reads by itself: it takes less time than handing it out. */
const fewShards = 16;
const fewBytes = 1024 ** 3;

/** Shards that are read at once. */
const readAtOnce = 8;

/**
 * Lists the shards that a plan is to be made of and that have no index yet, or no token set where one is needed, if those
 * are many. What is wrong with the data the plan says, with everything else.
 */
export async function findShards(
  { store, scratch }: Dependencies,
  input: FindShardsInput,
  attempt: Attempt,
): Promise<UnindexedShards> {
  const heart = beat(attempt);
  try {
    const { shards, texts } = await missingShards(store, join(scratch, 'documents'), input);
    const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
    if (shards.length <= fewShards && bytes <= fewBytes) return { document: null, shards: 0 };
    const below = placeOf(input);
    const document = await keepDocumentBelow(store, below, 'unindexed', shards);
    if (texts.length === 0) return { document, shards: shards.length };
    return { document, texts: await keepDocumentBelow(store, below, 'texts', texts), shards: shards.length };
  } finally {
    heart.stop();
  }
}

/** Where the lists of these shards lie. */
function placeOf(input: FindShardsInput): string {
  if ('filter' in input) return filterPrefix(parseFilter(input.filter).name);
  if ('embedding' in input) return embeddingPrefix(parseEmbedding(input.embedding).name);
  return `${runPrefix(input.run)}data/`;
}

/** Makes the indexes of some of those shards, and their token sets. Doing it again makes the same ones. */
export async function indexShards(
  { store, scratch }: Dependencies,
  { document, texts: wanted, from, to }: IndexShardsInput,
  attempt: Attempt,
): Promise<{ shards: number }> {
  let done = 0;
  const heart = beat(attempt, () => ({ done, of: to - from }));
  try {
    const documents = join(scratch, 'documents');
    const shards = await readDocumentAs<MissingShard[]>(store, document, documents);
    const all = wanted ? await readDocumentAs<WantedTexts[]>(store, wanted, documents) : [];
    await pMap(
      shards.slice(from, to),
      async ({ read, texts = [], ...shard }) => {
        attempt.signal.throwIfAborted();
        // An attempt before this one may have made it.
        const key = indexKey(shard, memberKinds(read));
        if (!(await store.head(key))) await unlessWrong(() => indexShard(store, shard, read));
        for (const { number, regions } of texts)
          await unlessWrong(() => lookInto(store, shard, all[number]!, regions ?? null));
        done++;
      },
      { concurrency: readAtOnce },
    );
    return { shards: done };
  } finally {
    heart.stop();
  }
}

/** Makes the token set of a shard, or its lists of languages, as if it were all data. */
async function lookInto(
  store: ObjectStore,
  shard: IndexedShard,
  { settings, spoken, read }: WantedTexts,
  file: IndexedShard | null,
): Promise<void> {
  if (settings && (await store.head(tokenSetKey(shard, read, file, settings)))) return;
  if (spoken && (await store.head(spokenKey(shard, read, spoken)))) return;
  const facts = (await findIndex(store, shard, read)) ?? (await indexShard(store, shard, read));
  const regions = file && [await regionsOfShard(store, shard, file)];
  const index = openIndex(
    {
      ...{ version: 2, prefix: '', fingerprint: '', examples: facts.shard.examples, shards: [facts.shard] },
      ...{ corrupt: [], ...(read && { read }), ...(regions && { regions }) },
    },
    store,
  );
  if (settings) await keepTokenSet(store, index, 0, settings, store);
  if (spoken) await keepSpoken(store, index, 0, spoken, store);
}
