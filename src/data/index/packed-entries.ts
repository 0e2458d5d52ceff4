import type { ByteRange, ExampleEntry, PixelKind, ShardEntries } from './types.ts';

/**
 * Entries of a shard in arrays, little-endian as every machine of ours is, n to each:
 *
 *     float64 offsets of images, of meta members, of class members where there are any, of members with a value a pixel
 *     uint32 sizes of the same
 *     uint32 ends of the names among the bytes of all names
 *     names, UTF-8
 *
 * 28 bytes an example and its name; 40 with a class. A member with a value a pixel that is not there has the size 0.
 */
const bytesOfRange = 12;

/** A member larger than this is refused for its size wherever it is read, far below it: that it is larger is enough. */
const largestSize = 0xffff_ffff;

/** Members of an example beside image and meta. */
export interface FurtherMembers {
  readonly class: boolean;
  readonly pixels: readonly PixelKind[];
}

type Part = 'image' | 'meta' | 'class' | PixelKind;
const partsOf = (further: FurtherMembers): readonly Part[] => [
  ...(['image', 'meta'] as const),
  ...(further.class ? (['class'] as const) : []),
  ...further.pixels,
];
const rangeOf = (entry: ExampleEntry, part: Part): ByteRange =>
  (part === 'image' || part === 'meta' || part === 'class' ? entry[part] : entry.pixels?.[part]) ?? nothing;
const nothing: ByteRange = { offset: 0, size: 0 };

export function packedBytes(examples: number, names: number, further: FurtherMembers): number {
  return examples * (partsOf(further).length * bytesOfRange + 4) + names;
}

/** `names`: how many bytes those have. */
export function packEntries(
  entries: readonly ExampleEntry[],
  further: FurtherMembers,
): { readonly bytes: Buffer; readonly names: number } {
  const parts = partsOf(further);
  const names = Buffer.from(entries.map(({ name }) => name).join(''));
  const bytes = Buffer.alloc(packedBytes(entries.length, names.length, further));
  let at = 0;
  for (const part of parts)
    for (const entry of entries) {
      bytes.writeDoubleLE(rangeOf(entry, part).offset, at);
      at += 8;
    }
  for (const part of parts)
    for (const entry of entries) {
      bytes.writeUInt32LE(Math.min(rangeOf(entry, part).size, largestSize), at);
      at += 4;
    }
  let end = 0;
  for (const { name } of entries) {
    end += Buffer.byteLength(name);
    bytes.writeUInt32LE(end, at);
    at += 4;
  }
  names.copy(bytes, at);
  return { bytes, names: names.length };
}

export class PackedEntries implements ShardEntries {
  readonly length: number;
  readonly #packed: DataView;
  readonly #names: Buffer;
  readonly #parts: readonly Part[];
  readonly #further: FurtherMembers;

  /** `packed`: as `packEntries` made it; it is kept as it is. */
  constructor(packed: Buffer, length: number, further: FurtherMembers) {
    this.length = length;
    this.#further = further;
    this.#parts = partsOf(further);
    this.#packed = new DataView(packed.buffer, packed.byteOffset, packed.length);
    this.#names = packed.subarray(length * (this.#parts.length * bytesOfRange + 4));
  }

  /** That this holds. */
  get bytes(): number {
    return this.#packed.byteLength;
  }

  at(i: number): ExampleEntry {
    if (!(i >= 0 && i < this.length)) throw new RangeError(`there is no entry ${i} of ${this.length}`);
    const ends = this.length * this.#parts.length * bytesOfRange;
    const start = i === 0 ? 0 : this.#packed.getUint32(ends + 4 * (i - 1), true);
    const name = this.#names.toString('utf8', start, this.#packed.getUint32(ends + 4 * i, true));
    const entry = { name, image: this.#range(0, i), meta: this.#range(1, i) };
    const { class: withClass, pixels } = this.#further;
    if (pixels.length === 0) return withClass ? { ...entry, class: this.#range(2, i) } : entry;
    const first = withClass ? 3 : 2;
    const there = pixels
      .map((kind, at) => [kind, this.#range(first + at, i)] as const)
      .filter(([, { size }]) => size > 0);
    return { ...entry, ...(withClass && { class: this.#range(2, i) }), pixels: Object.fromEntries(there) };
  }

  #range(part: number, i: number): ByteRange {
    const { length } = this;
    return {
      offset: this.#packed.getFloat64(8 * (part * length + i), true),
      size: this.#packed.getUint32(8 * this.#parts.length * length + 4 * (part * length + i), true),
    };
  }
}
