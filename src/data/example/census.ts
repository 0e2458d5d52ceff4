import pMap from 'p-map';
import { randomStream } from '../../runtime/random.ts';
import { spanOf } from '../index/members.ts';
import { bytesOfPiece, nearPieces } from '../index/near-pieces.ts';
import type { ShardStore } from '../index/part-reader.ts';
import { kindOf } from '../index/skipped-members.ts';
import type { DataIndex, ExampleEntry, ShardFacts } from '../index/types.ts';
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
/** Members that lie close together are read in pieces of this size at most. */
const mostBytes = 4 * 1024 * 1024;
/** Reasons may name what they are about; more kinds than this are one. */
const mostReasons = 50;

/** Shards of whose entries some are looked at: those of more are read of one shard in so many. */
const mostShards = 1000;
/** Shards that are looked into at once, and requests to each. */
const atOnce = 4;

/**
 * Looks at what the examples of an index say, not at their images: some requests and little memory, however large it is.
 * Of more than `most` examples it looks at some that are evenly spread, and of more than 1,000 shards into some of them.
 */
export async function countCaptions(store: ShardStore, index: DataIndex, most = mostLooked): Promise<Census> {
  const picked = pickedShards(index);
  const total = picked.reduce((sum, { examples }) => sum + examples, 0);
  const every = Math.max(1, Math.ceil(total / most));
  const languages = new Map<string, number>();
  const unusable = new Map<string, { count: number; first: string; at: number }>();
  /** Where something is wrong differs from one to the next: of each kind the first is told. */
  const kinds = new Map<string, string>();
  const broken = new Map<string, number>();
  let looked = 0;
  const refuse = (reason: string, { number, key }: PickedShard, name: string) => {
    broken.set(key, (broken.get(key) ?? 0) + 1);
    const kind = kindOf(reason);
    if (!kinds.has(kind) && kinds.size < mostReasons) kinds.set(kind, reason);
    const told = kinds.get(kind) ?? 'other reasons';
    const known = unusable.get(told);
    const first = known && known.at <= number ? known : { first: `${key}, ${name}`, at: number };
    unusable.set(told, { ...first, count: (known?.count ?? 0) + 1 });
  };
  await pMap(
    picked,
    async (picked) => {
      const { shard } = picked;
      const entries = await chosen(index, picked, total, every);
      const fit: ExampleEntry[] = [];
      for (const entry of entries) {
        looked++;
        const reason = sizeProblem(entry, index);
        if (reason === null) fit.push(entry);
        else refuse(reason, picked, entry.name);
      }
      await pMap(
        nearPieces(inPlace(fit), mostBytes, textsOf),
        async (piece) => {
          const bytesOf = await bytesOfPiece(store, shard, piece, mostBytes);
          for (const entry of piece.entries) {
            try {
              const { captions } = await readMeta(entry, index.read, bytesOf);
              for (const language of Object.keys(captions)) languages.set(language, (languages.get(language) ?? 0) + 1);
            } catch (error) {
              if (!(error instanceof CorruptExample)) throw error;
              refuse(error.message, picked, entry.name);
            }
          }
        },
        { concurrency: atOnce },
      );
    },
    { concurrency: atOnce },
  );
  const whole = every === 1 && total === index.examples;
  return { looked, whole, languages, unusable: inOrder(unusable), broken };
}

/** Reasons by where they were met first. */
function inOrder(unusable: ReadonlyMap<string, { count: number; first: string; at: number }>): Census['unusable'] {
  const sorted = [...unusable].sort(([, a], [, b]) => a.at - b.at);
  return new Map(sorted.map(([reason, { count, first }]) => [reason, { count, first }]));
}

interface PickedShard {
  readonly number: number;
  readonly key: string;
  readonly shard: ShardFacts;
  readonly examples: number;
  /** Examples of those that were picked before it. */
  readonly before: number;
}

/** All shards; of more than `mostShards` one of each so many, drawn. */
function pickedShards({ shards }: DataIndex): PickedShard[] {
  const every = Math.ceil(shards.length / mostShards);
  const picked: PickedShard[] = [];
  let before = 0;
  for (let group = 0; group * every < shards.length; group++) {
    const drawn = group * every + (every === 1 ? 0 : randomStream(0, 'census/shards', group).below(every));
    const number = Math.min(drawn, shards.length - 1);
    const shard = shards[number]!;
    picked.push({ number, key: shard.key, shard, examples: shard.examples, before });
    before += shard.examples;
  }
  return picked;
}

const textsOf = ({ meta, class: of }: ExampleEntry) => [meta, of];
const inPlace = (entries: readonly ExampleEntry[]) => {
  const placed = entries.map((entry) => ({ entry, ...spanOf(textsOf(entry)) }));
  return placed.sort((a, b) => a.offset - b.offset).map(({ entry }) => entry);
};

/** Of a shard's examples one of each so many, drawn: what alternates in the data is not met by one kind alone. */
async function chosen(
  index: DataIndex,
  { number, examples, before }: PickedShard,
  total: number,
  every: number,
): Promise<ExampleEntry[]> {
  const entries: ExampleEntry[] = [];
  if (examples === 0) return entries;
  const all = await index.entriesOf(number);
  for (let block = Math.floor(before / every); block * every < before + examples; block++) {
    const drawn = block * every + randomStream(0, 'census', block).below(every);
    const own = Math.min(drawn, total - 1) - before;
    if (own >= 0 && own < examples) entries.push(all.at(own));
  }
  return entries;
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
