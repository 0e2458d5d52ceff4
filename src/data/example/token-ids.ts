import pMap from 'p-map';
import { turns } from '../../runtime/turns.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { GapReader } from '../index/gap-reader.ts';
import { isAbsent, isRefused } from '../index/index-shard.ts';
import { each } from '../index/open-index.ts';
import { readRange, type ShardStore } from '../index/part-reader.ts';
import type { DataIndex, ExampleEntry } from '../index/types.ts';
import { captionTaskWords } from './caption-texts.ts';
import { CorruptExample } from './corrupt-example.ts';
import { largestMeta, readMeta } from './example.ts';
import { negativesIn } from './negatives.ts';
import { RegionReader } from './region-reader.ts';
import { decodeTokenSet, encodeTokenSet, type TextSettings, TokenSet, tokenSetKey } from './token-set.ts';
import { eosId, loadTokenizer, padId, unknownId } from './tokenizer.ts';
import type { ExampleMeta } from './types.ts';
import { wordingsOf } from './wordings.ts';

/**
 * Of a text so many tokens are looked at, far more than the 64 of the longest text of a model: tables of captions that
 * people write hold all of them, and no caption costs more than that.
 */
const tokensOfText = 1024;
/** Texts that are kept to be looked at once each. */
const textsAtOnce = 10_000;
/** Sets of shards that are asked for at once: 10,000 shards take some seconds. */
const askedAtOnce = 32;

export interface TokenOptions extends Partial<Omit<TextSettings, 'languages'>> {
  /** Where the sets of shards are kept that had to be made, for every run; absent: they are not. */
  readonly keep?: Pick<ObjectStore, 'put'>;
}

/**
 * Sorted distinct token ids that texts about these examples can hold, in these languages (`other`: in any): the
 * rows of a compacted token table. Padding, end and unknown are always among them. `captioning`: and in the texts that
 * a decoder is to say. Texts are read of those shards alone whose set does not lie in the bucket.
 */
export async function collectTokenIds(
  store: ShardStore,
  index: DataIndex,
  languages: readonly string[],
  { captioning = false, negatives, read, keep }: TokenOptions = {},
): Promise<number[]> {
  const how: TextSettings = { languages, captioning, negatives, read };
  const all = new TokenSet();
  for (const id of [padId, eosId, unknownId]) all.add(id);
  const { words } = wordingsOf({ read, captioning, single: index.read !== undefined });
  await addTexts(all, [...words, ...(captioning ? captionTaskWords() : [])]);
  const found = await pMap(
    index.shards.keys(),
    async (number) => {
      const set = await findTokenSet(store, index, number, how);
      if (set) all.join(set);
      return set !== null;
    },
    { concurrency: askedAtOnce },
  );
  // One after the other: what takes the time is the tokenizer.
  for (const [number, isThere] of found.entries())
    if (!isThere) all.join(await keepTokenSet(store, index, number, how, keep));
  return all.ids;
}

const keyOf = (index: DataIndex, number: number, how: TextSettings) =>
  tokenSetKey(index.shards[number]!, index.read, index.regions?.[number] ?? null, how);

async function findTokenSet(
  store: ShardStore,
  index: DataIndex,
  number: number,
  how: TextSettings,
): Promise<TokenSet | null> {
  try {
    return decodeTokenSet(await store.get(keyOf(index, number, how)), index.shards[number]!);
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

/** Makes the set of a shard, and keeps it for every run where that is possible. */
export async function keepTokenSet(
  store: ShardStore,
  index: DataIndex,
  number: number,
  how: TextSettings,
  keep?: Pick<ObjectStore, 'put'>,
): Promise<TokenSet> {
  const set = await makeTokenSet(store, index, number, how);
  try {
    // The same bytes, whoever writes them; what is damaged is replaced.
    await keep?.put(keyOf(index, number, how), encodeTokenSet(index.shards[number]!, set));
  } catch (error) {
    if (!isRefused(error)) throw error;
  }
  return set;
}

async function makeTokenSet(
  store: ShardStore,
  index: DataIndex,
  number: number,
  { languages, captioning, negatives, read }: TextSettings,
): Promise<TokenSet> {
  const any = languages.includes('other');
  const set = new TokenSet();
  const { wordings } = wordingsOf({ read, captioning, single: index.read !== undefined });
  const found = index.regions && captioning ? regionsOf(store, index) : null;
  const reader = new GapReader(store, index.shards[number]!);
  const texts = new Set<string>();
  const turn = turns();
  for (const entry of each(await index.entriesOf(number))) {
    if (Math.max(entry.meta.size, entry.class?.size ?? 0) > largestMeta) continue;
    const meta = await metaUnlessCorrupt(reader, entry, index, (meta) =>
      found ? found.join(number, entry.name, meta) : meta,
    );
    if (captioning) for (const { caption } of meta.regions ?? []) texts.add(`: ${caption} :`);
    for (const [language, own] of Object.entries(meta.captions)) {
      if (!any && !languages.includes(language)) continue;
      for (const text of wordings(own, meta.fields?.[language])) texts.add(text);
      if (negatives)
        for (const text of wrongTexts(meta, language))
          for (const field of fieldsOf(read)) for (const one of wordings([text], field)) texts.add(one);
    }
    await turn();
    if (texts.size < textsAtOnce) continue;
    await addTexts(set, texts);
    texts.clear();
  }
  await addTexts(set, texts);
  return set;
}

/** A text that is wrong for a picture is put into the template of its caption, whatever field that is of. */
const fieldsOf = (read: TextSettings['read']) => read?.fields?.map((_, field) => [field]) ?? [undefined];

/** Texts that can't be read are in no batch. */
function wrongTexts(meta: Pick<ExampleMeta, 'captions' | 'negatives'>, language: string): readonly string[] {
  try {
    return negativesIn(meta, language);
  } catch {
    return [];
  }
}

async function addTexts(set: TokenSet, texts: Iterable<string>): Promise<void> {
  const turn = turns();
  for (const text of texts) {
    // Where every set is there already it is not loaded at all.
    for (const id of loadTokenizer().ids(text, tokensOfText)) set.add(id);
    await turn();
  }
}

async function metaUnlessCorrupt(
  reader: GapReader,
  entry: ExampleEntry,
  { read }: DataIndex,
  join: (meta: ExampleMeta) => ExampleMeta | Promise<ExampleMeta>,
): Promise<Pick<ExampleMeta, 'captions' | 'fields' | 'regions' | 'negatives'>> {
  try {
    return await join(await readMeta(entry, read, ({ offset, size }) => reader.read(offset, size)));
  } catch (error) {
    // Training skips it too, and reports it.
    if (error instanceof CorruptExample) return { captions: {} };
    throw error;
  }
}

/** Regions of a detector, each file of them read once as the shards are gone through. */
function regionsOf(store: ShardStore, index: DataIndex): RegionReader {
  let held: { readonly key: string; readonly bytes: Buffer } | undefined;
  return new RegionReader(index, async (file, { offset, size }) => {
    if (held?.key !== file.key) held = { key: file.key, bytes: await readRange(store, file, 0, file.bytes) };
    return held.bytes.subarray(offset, offset + size);
  });
}
