import pMap from 'p-map';
import { recipePlaces, spokenPlaces, type TextPlace, textPlaces } from '../src/data/example/recipe-data.ts';
import { spokenKey } from '../src/data/example/spoken-lists.ts';
import { type TextSettings, tokenSetKey } from '../src/data/example/token-set.ts';
import { shardsOf } from '../src/data/index/index-data.ts';
import { indexKey, memberKinds } from '../src/data/index/index-object.ts';
import { regionKey } from '../src/data/index/region-file.ts';
import type { IndexedShard, Mapping, MemberMapping } from '../src/data/index/types.ts';
import { parseEmbedding } from '../src/embeddings/settings.ts';
import { parseFilter } from '../src/filtering/settings.ts';
import { readRecipe } from '../src/recipe/parse.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { foreign } from '../src/recipe/reading.ts';
import { type DataSource, languagesOf, sourcesOf } from '../src/recipe/sources.ts';
import { isRunnerError } from '../src/runtime/errors.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import { readDocumentAs } from './documents.ts';
import { otherSource } from './other-source.ts';
import type { FindShardsInput } from './types/indexing.ts';

/** Questions whether something is there, at once. */
const askedAtOnce = 64;

/** A shard that has no index yet, or no set of its tokens. */
export interface MissingShard extends IndexedShard {
  /** Of how it is read only what its index depends on. */
  readonly read?: MemberMapping;
  /** Which sets are wanted: their numbers in a list of their own, and the files of its regions. */
  readonly texts?: readonly { readonly number: number; readonly regions?: IndexedShard }[];
}

/** What is to be looked at in texts, once for all shards: a mapping may name thousands of classes. */
export interface WantedTexts {
  /** Of a token set. */
  readonly settings?: TextSettings;
  /** Of lists of who has which language. */
  readonly spoken?: readonly string[];
  readonly read?: Mapping;
}

/** What of a plan's data has no index yet, or no token set where one is needed: in one order, whichever answer came first. */
export async function missingShards(
  store: ObjectStore,
  documents: string,
  input: FindShardsInput,
): Promise<{ readonly shards: readonly MissingShard[]; readonly texts: readonly WantedTexts[] }> {
  const { places, spoken, listed } = await placesOf(store, documents, input);
  const missing = new Map<string, MissingShard>();
  const wanted = new Map<string, { number: number; regions?: IndexedShard }[]>();
  /** Adds what is said of a shard, where `isMissing`. */
  const look = async (
    { train, read }: Pick<DataSource, 'train' | 'read'>,
    isMissing: (shard: IndexedShard, own: string, read: Mapping | undefined) => Promise<boolean>,
  ) => {
    const found = await unlessWrong(() => shardsOf(store, train, read));
    if (!found) return null;
    const members = memberKinds(found.read);
    const how = found.read && { captions: found.read.captions, ...(found.read.class && { class: found.read.class }) };
    await pMap(
      found.found,
      async ({ key, bytes, etag }) => {
        const shard = { key, bytes, etag };
        const own = indexKey(shard, members);
        if (await isMissing(shard, own, found.read)) missing.set(own, { ...shard, ...(how && { read: how }) });
      },
      { concurrency: askedAtOnce },
    );
    return found;
  };
  for (const place of places) await look(place, async (_, own) => !missing.has(own) && !(await store.head(own)));
  const texts: WantedTexts[] = [];
  for (const { source, texts: settings } of spoken) {
    const { regions: prefix } = source;
    const regions = settings.captioning && prefix !== undefined ? await filesBelow(store, prefix) : null;
    const number = texts.length;
    const found = await look(source, async (shard, own, read) => {
      const file = regions?.get(regionKey(prefix!, shard.key));
      // The plan says that there is none.
      if (regions && !file) return false;
      if (await store.head(tokenSetKey(shard, read, file ?? null, settings))) return false;
      wanted.set(own, [...(wanted.get(own) ?? []), { number, ...(file && { regions: file }) }]);
      return true;
    });
    texts.push({ settings, ...(found?.read && { read: found.read }) });
  }
  for (const { source, languages } of listed) {
    const number = texts.length;
    const found = await look(source, async (shard, own, read) => {
      if (await store.head(spokenKey(shard, read, languages))) return false;
      wanted.set(own, [...(wanted.get(own) ?? []), { number }]);
      return true;
    });
    texts.push({ spoken: languages, ...(found?.read && { read: found.read }) });
  }
  const sorted = [...missing].sort(([a], [b]) => (a < b ? -1 : 1));
  const shards = sorted.map(([own, shard]) => {
    const of = wanted.get(own);
    return { ...shard, ...(of && { texts: of.sort((a, b) => a.number - b.number) }) };
  });
  return { shards, texts };
}

/** The places that a recipe names, or that a phase is to have from now on, and those whose tokens are wanted. */
async function placesOf(store: ObjectStore, documents: string, input: FindShardsInput) {
  const nothing = { places: [], spoken: [], listed: [] };
  if ('filter' in input) {
    const { data, read } = parseFilter(input.filter);
    return { ...nothing, places: [{ train: data, read: foreign(read) }] };
  }
  if ('embedding' in input) {
    const { data, read } = parseEmbedding(input.embedding);
    return { ...nothing, places: [{ train: data, read: foreign(read) }] };
  }
  if ('recipe' in input) {
    const { recipe } = readRecipe(input.recipe);
    if (!recipe) return nothing;
    return { places: recipePlaces(recipe), spoken: textPlaces(recipe), listed: spokenPlaces(recipe) };
  }
  const { plan, overrides } = input;
  if ((overrides.data ?? overrides.read) === undefined) return nothing;
  const { batches } = await readDocumentAs<PhaseSettings>(store, plan.settings, documents);
  const data = otherSource({ batches }, overrides);
  const places = [{ train: data.train, read: foreign(data.read) }];
  if (batches.vocabulary === null) return { ...nothing, places };
  const captioning = batches.parts?.captionTargets !== undefined;
  const texts = { languages: languagesOf(data), captioning, read: data.read };
  const spoken: TextPlace[] = sourcesOf(data).map((source) => ({ source, texts }));
  return { places, spoken, listed: [] };
}

async function filesBelow(store: ObjectStore, prefix: string): Promise<ReadonlyMap<string, IndexedShard>> {
  const found = new Map<string, IndexedShard>();
  for await (const { key, bytes, etag } of store.list(`${prefix}/`)) found.set(key, { key, bytes, etag });
  return found;
}

/** Null for what trying again does not mend. */
export async function unlessWrong<T>(look: () => Promise<T>): Promise<T | null> {
  try {
    return await look();
  } catch (error) {
    if (!isRunnerError(error) || error.retryable) throw error;
    return null;
  }
}
