import pMap from 'p-map';
import { randomStream } from '../../runtime/random.ts';
import { readRange, type ShardStore } from '../index/part-reader.ts';
import type { DataIndex, ExampleEntry, ShardIndex } from '../index/types.ts';
import { CorruptExample, checkSizes, parseMeta } from './example.ts';

/** What the examples of a data set say of themselves, counted: all of them, or as many as are looked at, evenly spread. */
export interface Census {
  readonly looked: number;
  /** Whether that is every example. */
  readonly whole: boolean;
  /** Examples that have a caption, by language. */
  readonly languages: ReadonlyMap<string, number>;
  /** Examples that can't be used, by reason, and the first of each. */
  readonly unusable: ReadonlyMap<string, { readonly count: number; readonly first: string }>;
}

/** Enough to meet what one in a thousand examples has; and as many requests, where they lie far apart. */
const mostLooked = 10_000;
/** JSON members that are nearer than this are read together, in pieces of this size at most. */
const nearBytes = 64 * 1024;
const mostBytes = 4 * 1024 * 1024;
/** Reasons may name what they are about; more kinds than this are one. */
const mostReasons = 50;

/** Looks at the JSON members of an index, not at its images: some requests and little memory, however large it is. */
export async function countCaptions(store: ShardStore, index: DataIndex, most = mostLooked): Promise<Census> {
  const every = Math.max(1, Math.ceil(index.examples / most));
  const languages = new Map<string, number>();
  const unusable = new Map<string, { count: number; first: string }>();
  let looked = 0;
  const refuse = (reason: string, first: string) => {
    const kind = unusable.has(reason) || unusable.size < mostReasons ? reason : 'other reasons';
    const known = unusable.get(kind);
    unusable.set(kind, { count: (known?.count ?? 0) + 1, first: known?.first ?? first });
  };
  await pMap(
    piecesOf(index, every),
    async ({ shard, entries, offset, size }) => {
      const bytes = await readRange(store, shard, offset, size);
      for (const { name, meta } of entries) {
        looked++;
        try {
          const { captions } = parseMeta(bytes.subarray(meta.offset - offset, meta.offset - offset + meta.size), name);
          for (const language of Object.keys(captions)) languages.set(language, (languages.get(language) ?? 0) + 1);
        } catch (error) {
          if (!(error instanceof CorruptExample)) throw error;
          refuse(error.message, `${shard.key}, ${name}`);
        }
      }
    },
    { concurrency: 8 },
  );
  for (const { key, name, reason } of tooLarge(index, every)) {
    looked++;
    refuse(reason, `${key}, ${name}`);
  }
  return { looked, whole: every === 1, languages, unusable };
}

interface Piece {
  readonly shard: ShardIndex;
  readonly entries: ExampleEntry[];
  readonly offset: number;
  size: number;
}

/** The bytes that are read: members that lie close together are one request. */
function* piecesOf(index: DataIndex, every: number): Generator<Piece> {
  for (const { shard, entries } of chosen(index, every)) {
    const sorted = entries.filter((entry) => sizeProblem(entry) === null);
    sorted.sort((a, b) => a.meta.offset - b.meta.offset);
    let piece: Piece | null = null;
    for (const entry of sorted) {
      const { offset, size } = entry.meta;
      const near = piece !== null && offset - (piece.offset + piece.size) <= nearBytes;
      if (piece && near && offset + size - piece.offset <= mostBytes) {
        piece.entries.push(entry);
        piece.size = offset + size - piece.offset;
        continue;
      }
      if (piece) yield piece;
      piece = { shard, entries: [entry], offset, size };
    }
    if (piece) yield piece;
  }
}

function* tooLarge(index: DataIndex, every: number): Generator<{ key: string; name: string; reason: string }> {
  for (const { shard, entries } of chosen(index, every))
    for (const entry of entries) {
      const reason = sizeProblem(entry);
      if (reason !== null) yield { key: shard.key, name: entry.name, reason };
    }
}

/** One example of each so many, drawn: what alternates in the data is not met by one kind alone. */
function* chosen(index: DataIndex, every: number): Generator<{ shard: ShardIndex; entries: ExampleEntry[] }> {
  let at = 0;
  for (const shard of index.shards) {
    const { length } = shard.examples;
    const entries: ExampleEntry[] = [];
    for (let block = Math.floor(at / every); block * every < at + length; block++) {
      const drawn = block * every + randomStream(0, 'census', block).below(every);
      const entry = shard.examples[Math.min(drawn, index.examples - 1) - at];
      if (entry) entries.push(entry);
    }
    at += length;
    yield { shard, entries };
  }
}

function sizeProblem(entry: ExampleEntry): string | null {
  try {
    checkSizes(entry);
    return null;
  } catch (error) {
    if (error instanceof CorruptExample) return error.message;
    throw error;
  }
}
