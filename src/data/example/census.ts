import pMap from 'p-map';
import { randomStream } from '../../runtime/random.ts';
import { spanOf } from '../index/members.ts';
import { readRange, type ShardStore } from '../index/part-reader.ts';
import { kindOf } from '../index/skipped-members.ts';
import type { ByteRange, DataIndex, ExampleEntry, ShardFacts } from '../index/types.ts';
import { CorruptExample, checkSizes, readMeta } from './example.ts';

/** What the examples of a data set say of themselves, counted: all of them, or as many as are looked at, evenly spread. */
export interface Census {
  readonly looked: number;
  /** Whether that is every example. */
  readonly whole: boolean;
  /** Examples that have a caption, by language. */
  readonly languages: ReadonlyMap<string, number>;
  /** Examples that can't be used, by reason, and the first of each. */
  readonly unusable: ReadonlyMap<string, { readonly count: number; readonly first: string }>;
  /** How many of those each shard has that has any, by its key. */
  readonly broken: ReadonlyMap<string, number>;
}

/** Enough to meet what one in a thousand examples has; and as many requests, where they lie far apart. */
const mostLooked = 10_000;
/** Members that are nearer than this are read together, in pieces of this size at most. */
const nearBytes = 64 * 1024;
const mostBytes = 4 * 1024 * 1024;
/** Reasons may name what they are about; more kinds than this are one. */
const mostReasons = 50;

/** Looks at what the examples of an index say, not at their images: some requests and little memory, however large it is. */
export async function countCaptions(store: ShardStore, index: DataIndex, most = mostLooked): Promise<Census> {
  const every = Math.max(1, Math.ceil(index.examples / most));
  const languages = new Map<string, number>();
  const unusable = new Map<string, { count: number; first: string }>();
  /** Where something is wrong differs from one to the next: of each kind the first is told. */
  const kinds = new Map<string, string>();
  const broken = new Map<string, number>();
  let looked = 0;
  const refuse = (reason: string, shard: string, name: string) => {
    broken.set(shard, (broken.get(shard) ?? 0) + 1);
    const kind = kindOf(reason);
    if (!kinds.has(kind) && kinds.size < mostReasons) kinds.set(kind, reason);
    const told = kinds.get(kind) ?? 'other reasons';
    const known = unusable.get(told);
    unusable.set(told, { count: (known?.count ?? 0) + 1, first: known?.first ?? `${shard}, ${name}` });
  };
  await pMap(
    piecesOf(index, every),
    async ({ shard, entries, offset, size }) => {
      // Between texts and class of one example may lie a picture of any size: then each is asked for by itself.
      const bytes = size > mostBytes ? null : await readRange(store, shard, offset, size);
      const bytesOf = async (range: ByteRange) =>
        bytes?.subarray(range.offset - offset, range.offset - offset + range.size) ??
        readRange(store, shard, range.offset, range.size);
      for (const entry of entries) {
        looked++;
        try {
          const { captions } = await readMeta(entry, index.read, bytesOf);
          for (const language of Object.keys(captions)) languages.set(language, (languages.get(language) ?? 0) + 1);
        } catch (error) {
          if (!(error instanceof CorruptExample)) throw error;
          refuse(error.message, shard.key, entry.name);
        }
      }
    },
    { concurrency: 8 },
  );
  for await (const { key, name, reason } of tooLarge(index, every)) {
    looked++;
    refuse(reason, key, name);
  }
  return { looked, whole: every === 1, languages, unusable, broken };
}

interface Piece {
  readonly shard: ShardFacts;
  readonly entries: ExampleEntry[];
  readonly offset: number;
  size: number;
}

/** The bytes that are read: members that lie close together are one request. */
async function* piecesOf(index: DataIndex, every: number): AsyncGenerator<Piece> {
  for await (const { shard, entries } of chosen(index, every)) {
    const sorted = entries
      .filter((entry) => sizeProblem(entry, index) === null)
      .map((entry) => ({ entry, ...spanOf([entry.meta, entry.class]) }))
      .sort((a, b) => a.offset - b.offset);
    let piece: Piece | null = null;
    for (const { entry, offset, size } of sorted) {
      const near = piece !== null && offset - (piece.offset + piece.size) <= nearBytes;
      if (piece && near && offset + size - piece.offset <= mostBytes) {
        piece.entries.push(entry);
        piece.size = Math.max(piece.size, offset + size - piece.offset);
        continue;
      }
      if (piece) yield piece;
      piece = { shard, entries: [entry], offset, size };
    }
    if (piece) yield piece;
  }
}

async function* tooLarge(
  index: DataIndex,
  every: number,
): AsyncGenerator<{ key: string; name: string; reason: string }> {
  for await (const { shard, entries } of chosen(index, every))
    for (const entry of entries) {
      const reason = sizeProblem(entry, index);
      if (reason !== null) yield { key: shard.key, name: entry.name, reason };
    }
}

/** One example of each so many, drawn: what alternates in the data is not met by one kind alone. */
async function* chosen(
  index: DataIndex,
  every: number,
): AsyncGenerator<{ shard: ShardFacts; entries: ExampleEntry[] }> {
  let at = 0;
  for (const [number, shard] of index.shards.entries()) {
    const all = await index.entriesOf(number);
    const { length } = all;
    const entries: ExampleEntry[] = [];
    for (let block = Math.floor(at / every); block * every < at + length; block++) {
      const drawn = block * every + randomStream(0, 'census', block).below(every);
      const own = Math.min(drawn, index.examples - 1) - at;
      if (own >= 0 && own < length) entries.push(all.at(own));
    }
    at += length;
    yield { shard, entries };
  }
}

function sizeProblem(entry: ExampleEntry, { read }: DataIndex): string | null {
  try {
    checkSizes(entry, read);
    return null;
  } catch (error) {
    if (error instanceof CorruptExample) return error.message;
    throw error;
  }
}
