import type { RemoteShard } from '../index/part-reader.ts';
import type { ByteRange, DataIndex, ExampleEntry } from '../index/types.ts';
import type { RangeRef } from './ranges.ts';

/** Members that are nearer than this are one part: between them lie headers, and small members of other kinds. */
const nearBytes = 64 * 1024;
/** Entries that are kept: those of a block and of the one after it. */
const mostEntries = 120_000;

/** What of a shard a range of its examples is read from, and their entries from the first of the range on. */
export interface RangeFile {
  readonly shard: RemoteShard;
  readonly entries: readonly ExampleEntry[];
}

/** The bytes that ranges of examples take of their shards: exactly those of their members, and what lies between. */
export class RangeFiles {
  readonly #index: DataIndex;
  readonly #kept = new Map<string, { readonly count: number; readonly file: Promise<RangeFile> }>();
  #entries = 0;

  constructor(index: DataIndex) {
    this.#index = index;
  }

  of(range: RangeRef): Promise<RangeFile> {
    const key = `${range.shard}/${range.first}`;
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

  async #open({ shard, first, count }: RangeRef): Promise<RangeFile> {
    const all = await this.#index.entriesOf(shard);
    const entries = Array.from({ length: count }, (_, i) => all.at(first + i));
    const { key, bytes, etag } = this.#index.shards[shard]!;
    return { shard: { key, bytes, etag, parts: partsOf(entries) }, entries };
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
