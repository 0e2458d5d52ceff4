import { speakersOf } from '../example/spoken-lists.ts';
import type { RemoteShard } from '../index/part-reader.ts';
import type { ByteRange, DataIndex, ExampleEntry } from '../index/types.ts';
import type { RangeRef } from './ranges.ts';

/** Members that are nearer than this are one part: between them lie headers, and small members of other kinds. */
const nearBytes = 64 * 1024;
/** Entries that are kept: those of a block and of the one after it. */
const mostEntries = 120_000;
/** Lists of who has a language, of 40 kB at most where shards have 10,000 examples. */
const listsKept = 256;

/** What of a shard a range of its examples is read from, and their entries from the first of the range on. */
export interface RangeFile {
  readonly shard: RemoteShard;
  /** Their numbers in the shard. */
  readonly numbers: Uint32Array;
  /** All examples from the first of them to the last. */
  readonly rows: RangeRef;
  readonly entries: readonly ExampleEntry[];
}

/** The bytes that ranges of examples take of their shards: exactly those of their members, and what lies between. */
export class RangeFiles {
  readonly #index: DataIndex;
  readonly #kept = new Map<string, { readonly count: number; readonly file: Promise<RangeFile> }>();
  readonly #speakers = new Map<string, Promise<Uint32Array>>();
  #entries = 0;

  constructor(index: DataIndex) {
    this.#index = index;
  }

  of(range: RangeRef): Promise<RangeFile> {
    const key = `${range.shard}/${range.first}/${range.language ?? ''}`;
    const found = this.#kept.get(key) ?? { count: range.count, file: this.#open(range) };
    // The one that was used last goes last.
    if (!this.#kept.delete(key)) {
      this.#entries += range.count;
      found.file.catch(() => this.#forget(key));
    }
    this.#kept.set(key, found);
    for (const oldest of this.#kept.keys()) {
      if (this.#entries <= mostEntries || oldest === key) break;
      this.#forget(oldest);
    }
    return found.file;
  }

  #forget(key: string): void {
    this.#entries -= this.#kept.get(key)?.count ?? 0;
    this.#kept.delete(key);
  }

  async #open({ shard, first, count, language }: RangeRef): Promise<RangeFile> {
    const all = await this.#index.entriesOf(shard);
    const numbers =
      language === undefined
        ? Uint32Array.from({ length: count }, (_, i) => first + i)
        : (await this.#speakersOf(shard, language)).slice(first, first + count);
    const entries = Array.from(numbers, (number) => all.at(number));
    const { key, bytes, etag } = this.#index.shards[shard]!;
    const rows = { shard, first: numbers[0]!, count: numbers.at(-1)! + 1 - numbers[0]! };
    return { shard: { key, bytes, etag, parts: partsOf(entries) }, numbers, rows, entries };
  }

  /** Ranges of a shard are opened one after the other: its list is read once for those of a block. */
  #speakersOf(shard: number, language: string): Promise<Uint32Array> {
    const key = `${shard}/${language}`;
    const known = this.#speakers.get(key);
    if (known) return known;
    const { first, index, spoken } = this.#index.sources!.findLast(({ first }) => first <= shard)!;
    const own = speakersOf(index.store, index, shard - first, spoken!.languages, language);
    this.#speakers.set(key, own);
    own.catch(() => this.#speakers.delete(key));
    if (this.#speakers.size > listsKept) this.#speakers.delete(this.#speakers.keys().next().value!);
    return own;
  }
}

/** The members of some entries as few parts that follow one another. */
export function partsOf(entries: readonly ExampleEntry[]): ByteRange[] {
  const members = entries.flatMap(({ image, meta, class: of }) => (of ? [image, meta, of] : [image, meta]));
  const parts: { offset: number; size: number }[] = [];
  for (const { offset, size } of members.sort((a, b) => a.offset - b.offset)) {
    const last = parts.at(-1);
    if (last && offset - (last.offset + last.size) <= nearBytes)
      last.size = Math.max(last.size, offset + size - last.offset);
    else parts.push({ offset, size });
  }
  return parts;
}
