import pMap from 'p-map';
import { canonicalJson, sha256 } from '../../runtime/hash.ts';
import { turns } from '../../runtime/turns.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { GapReader } from '../index/gap-reader.ts';
import { isAbsent, isRefused } from '../index/index-shard.ts';
import { each } from '../index/open-index.ts';
import type { ShardStore } from '../index/part-reader.ts';
import type { DataIndex, ExampleEntry, IndexedShard, Mapping, SpokenCounts } from '../index/types.ts';
import { unlessCorrupt } from './corrupt-example.ts';
import { checkSizes, readMeta } from './example.ts';
import { decodeBits, encodeBits } from './shard-bits.ts';

export const spokenKind = { magic: 'siglip2l', version: 1 };

/** Objects that are asked for at once, and shards that are read at once where there is none. */
const askedAtOnce = 32;
const madeAtOnce = 8;

/** Languages in the one order that lists of them have, and those that are not named behind them. */
export const namedAndOther = (languages: readonly string[]): readonly string[] => [
  ...[...new Set(languages)].filter((language) => language !== 'other').sort(),
  'other',
];

/**
 * Where it is written down which examples of a shard have a text in each of some languages, a bit for each example and
 * language: by all that it depends on. `read`: how the members of the shard are read.
 */
export const spokenKey = (
  { key, bytes, etag }: IndexedShard,
  read: Mapping | undefined,
  languages: readonly string[],
) =>
  `indexes/${sha256(canonicalJson(['languages', spokenKind.version, key, bytes, etag, read ?? null, namedAndOther(languages)]))}.languages`;

/** The bits of a shard, those of one language after those of another; null where there are none, or damaged ones. */
async function findBits(store: ShardStore, index: DataIndex, number: number, languages: readonly string[]) {
  const shard = index.shards[number]!;
  const size = namedAndOther(languages).length * Math.ceil(shard.examples / 8);
  try {
    return decodeBits(spokenKind, await store.get(spokenKey(shard, index.read, languages)), shard, size);
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

/** Makes the bits of a shard, and keeps them for every run where that is possible. */
export async function keepSpoken(
  store: ShardStore,
  index: DataIndex,
  number: number,
  languages: readonly string[],
  keep?: Pick<ObjectStore, 'put'>,
): Promise<Uint8Array> {
  const shard = index.shards[number]!;
  const named = namedAndOther(languages);
  const bytes = Math.ceil(shard.examples / 8);
  const bits = new Uint8Array(named.length * bytes);
  const reader = new GapReader(store, shard);
  const turn = turns();
  let i = 0;
  for (const entry of each(await index.entriesOf(number))) {
    const own = await languagesOf(reader, entry, index);
    for (const [place, language] of named.entries())
      if (own === null || (language === 'other' ? own.some((one) => !named.includes(one)) : own.includes(language)))
        bits[place * bytes + (i >> 3)]! |= 1 << (i & 7);
    i++;
    await turn();
  }
  try {
    await keep?.put(spokenKey(shard, index.read, languages), encodeBits(spokenKind, shard, bits));
  } catch (error) {
    if (!isRefused(error)) throw error;
  }
  return bits;
}

/** Null where it can't be used: it is drawn in every language, and shows as broken then. */
const languagesOf = (reader: GapReader, entry: ExampleEntry, { read }: DataIndex): Promise<string[] | null> =>
  unlessCorrupt(async () => {
    checkSizes(entry, read);
    return Object.keys((await readMeta(entry, read, ({ offset, size }) => reader.read(offset, size))).captions);
  });

/** How many examples of each shard have each language. Texts are read of those shards alone of which nobody did before. */
export async function countSpoken(
  store: ObjectStore,
  index: DataIndex,
  languages: readonly string[],
): Promise<SpokenCounts> {
  const named = namedAndOther(languages);
  const counts = named.map(() => new Array<number>(index.shards.length).fill(0));
  const count = (number: number, bits: Uint8Array) => {
    const bytes = bits.length / named.length;
    for (const place of named.keys())
      counts[place]![number] = numbersIn(bits.subarray(place * bytes, (place + 1) * bytes)).length;
  };
  const found = await pMap(
    index.shards.keys(),
    async (number) => {
      const bits = await findBits(store, index, number, languages);
      if (bits) count(number, bits);
      return bits !== null;
    },
    { concurrency: askedAtOnce },
  );
  const lacking = found.flatMap((isThere, number) => (isThere ? [] : [number]));
  await pMap(lacking, async (number) => count(number, await keepSpoken(store, index, number, languages, store)), {
    concurrency: madeAtOnce,
  });
  return { languages: named, counts };
}

/** The numbers of the examples of a shard that have a language, ascending. */
export async function speakersOf(
  store: ShardStore,
  index: DataIndex,
  number: number,
  languages: readonly string[],
  language: string,
): Promise<Uint32Array> {
  // Anyone may have deleted it.
  const bits = (await findBits(store, index, number, languages)) ?? (await keepSpoken(store, index, number, languages));
  const bytes = Math.ceil(index.shards[number]!.examples / 8);
  const place = namedAndOther(languages).indexOf(language);
  return Uint32Array.from(numbersIn(bits.subarray(place * bytes, (place + 1) * bytes)));
}

function numbersIn(bits: Uint8Array): number[] {
  const numbers: number[] = [];
  for (const [i, byte] of bits.entries())
    for (let bit = 0; byte >> bit !== 0; bit++) if (byte & (1 << bit)) numbers.push(8 * i + bit);
  return numbers;
}
