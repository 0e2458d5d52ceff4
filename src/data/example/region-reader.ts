import { isRecord } from '../../runtime/json-text.ts';
import type { ByteRange, DataIndex, RegionShard } from '../index/types.ts';
import { CorruptExample } from './corrupt-example.ts';
import { parseRegions, type Region } from './regions.ts';
import type { ExampleMeta } from './types.ts';

/** Reads bytes of a file of regions: a cache on the disk, or the store. */
type ReadRange = (file: RegionShard, range: ByteRange) => Promise<Buffer>;

/** Where the line of each example of a shard is, by a hash of its name: 16 bytes for each. */
interface Lines {
  /** Ascending. */
  readonly hashes: Float64Array;
  readonly ends: Uint32Array;
  readonly starts: Uint32Array;
}

/** Examples with regions whose places are kept: 64 MB, those of 400 shards of 10,000. */
const placesKept = 4_000_000;
const nameAt = '{"name":'.length;

/** Joins examples with the regions that a detector found in them, by the number of their shard and by their name. */
export class RegionReader {
  /** By the number of the shard: sources of a mixture may share a shard, and not its regions. */
  readonly #files: readonly (RegionShard | null)[];
  readonly #read: ReadRange;
  readonly #lines = new Map<string, Promise<Lines>>();
  #places = 0;

  constructor({ regions = [] }: Pick<DataIndex, 'regions'>, read: ReadRange) {
    this.#files = regions;
    this.#read = read;
  }

  /** An example with the regions that its own JSON has and those of the detector. Throws `CorruptExample`. */
  async join<T extends Pick<ExampleMeta, 'regions'>>(shard: number, name: string, meta: T): Promise<T> {
    const found = await this.#of(shard, name);
    return found.length === 0 ? meta : { ...meta, regions: [...(meta.regions ?? []), ...found] };
  }

  async #of(shard: number, name: string): Promise<readonly Region[]> {
    const file = this.#files[shard];
    if (!file) return [];
    const { hashes, starts, ends } = await this.#linesOf(file);
    const hash = hashOf(JSON.stringify(name));
    for (let i = firstAt(hashes, hash); hashes[i] === hash; i++) {
      const [start, size] = [starts[i]!, ends[i]! - starts[i]!];
      const text = (await this.#read(file, { offset: file.offset + start, size })).toString();
      const line = parsed(text);
      // Two names may have one hash.
      if (line.name === name) return regionsOf(line);
    }
    return [];
  }

  #linesOf(file: RegionShard): Promise<Lines> {
    const known = this.#lines.get(file.key);
    if (known) {
      // Those used last are at the end.
      this.#lines.delete(file.key);
      this.#lines.set(file.key, known);
      return known;
    }
    const lines = this.#find(file);
    this.#lines.set(file.key, lines);
    lines.catch(() => this.#lines.delete(file.key));
    return lines;
  }

  async #find(file: RegionShard): Promise<Lines> {
    const body = await this.#read(file, { offset: file.offset, size: file.bytes - file.offset });
    const found: { hash: number; start: number; end: number }[] = [];
    for (let start = 0; start < body.length; ) {
      const newline = body.indexOf(10, start);
      const end = newline < 0 ? body.length : newline;
      const behind = body.indexOf(',"regions":', start);
      if (behind > start && behind < end)
        found.push({ hash: hashOf(body.toString('utf8', start + nameAt, behind)), start, end });
      start = end + 1;
    }
    found.sort((a, b) => a.hash - b.hash || a.start - b.start);
    this.#places += found.length;
    for (const [key, lines] of this.#lines) {
      if (this.#places <= placesKept || key === file.key) break;
      this.#lines.delete(key);
      this.#places -= (await lines).hashes.length;
    }
    return {
      hashes: Float64Array.from(found, ({ hash }) => hash),
      starts: Uint32Array.from(found, ({ start }) => start),
      ends: Uint32Array.from(found, ({ end }) => end),
    };
  }
}

function regionsOf(line: Record<string, unknown>): readonly Region[] {
  try {
    return parseRegions(line.regions);
  } catch (error) {
    if (error instanceof CorruptExample) throw new CorruptExample(`the detector's ${error.message}`);
    throw error;
  }
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (isRecord(value)) return value;
  } catch {}
  throw new CorruptExample("the detector's regions are no JSON");
}

/** The first of the sorted numbers that is not below one. */
function firstAt(sorted: Float64Array, one: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < one) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** 52 bits of a text: FNV-1a of 32 bits, and again from another start. */
function hashOf(text: string): number {
  let [low, high] = [0x811c9dc5, 0x01000193];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    low = Math.imul(low ^ code, 0x01000193);
    high = Math.imul(high ^ code, 0x85ebca6b);
  }
  return (high & 0xfffff) * 2 ** 32 + (low >>> 0);
}
