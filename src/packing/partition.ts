import { thumbBytes } from '../data/near/fingerprint.ts';
import { bandOf, bands, bitsApart, mostBits, thumbsNear } from '../data/near/near.ts';
import { type Edge, hasTexts, isExact } from './edges.ts';
import { bandBytes, exactBytes, recordsOf } from './hash-file.ts';

/** Texts of one picture that are told apart. */
const mostTexts = 100;
/**
 * Different pictures of one value of a band that are compared: 12.5 million pairs, a tenth of a second. Photographs of one
 * band are some 1,500 of 100 million. Those beyond the bound, as of blank pages, are compared in their other bands alone.
 */
const mostOfBand = 5000;

/** Pictures of one value of a band that differ, in the order of their numbers. */
interface Bucket {
  readonly records: Buffer[];
}

/**
 * One partition of the hashes of all parts, of which about 100,000 pictures are held: 130 MB. Parts are added in their order.
 * A picture goes where one before it is near it, whatever becomes of that one: so the answer is the same for any
 * number of partitions and in any order of them.
 */
export class Partition {
  readonly #exact = new Map<string, { readonly id: number; readonly texts: Set<number> }>();
  readonly #bands = Array.from({ length: bands }, () => ({
    same: new Map<number, Buffer>(),
    buckets: new Map<number, Bucket>(),
  }));
  readonly #pairs: boolean;
  readonly edges: Edge[] = [];
  /** Pictures that were not compared in some band. */
  crowded = 0;

  /** `pairs`: pictures are one only where their texts are the same too. */
  constructor({ pairs = false }: { readonly pairs?: boolean } = {}) {
    this.#pairs = pairs;
  }

  /** The records of one part for this partition. */
  add(section: Buffer): void {
    const { exact, banded } = recordsOf(section);
    for (let at = 0; at < exact.length; at += exactBytes) this.#addExact(exact.subarray(at, at + exactBytes));
    for (const [band, records] of banded.entries())
      for (let at = 0; at < records.length; at += bandBytes)
        this.#addBanded(band, records.subarray(at, at + bandBytes));
  }

  found(): Edge[] {
    return this.edges;
  }

  #addExact(record: Buffer): void {
    const [id, text] = [record.readUInt32LE(16), record.readUInt32LE(20)];
    const what = record.toString('latin1', 0, 16) + (this.#pairs ? text : '');
    const first = this.#exact.get(what);
    if (!first) {
      this.#exact.set(what, { id, texts: new Set([text]) });
      return;
    }
    const says = !first.texts.has(text) && first.texts.size < mostTexts;
    if (says) first.texts.add(text);
    this.edges.push({ id, keeper: first.id, flags: isExact | (says ? hasTexts : 0) });
  }

  #addBanded(band: number, record: Buffer): void {
    const { same, buckets } = this.#bands[band]!;
    const looks = looksOf(record, this.#pairs);
    // Copies to the byte would fill a bucket. They are joined by their pixels, or here where only their sizes differ.
    const before = same.get(looks);
    if (before && sameLooks(before, record) && this.#sameText(before, record)) {
      if (idOf(before) !== idOf(record)) this.edges.push(edge(record, before));
      return;
    }
    const value = bandOf(record.readUInt32LE(0), record.readUInt32LE(4), band);
    const bucket = buckets.get(value) ?? { records: [] };
    buckets.set(value, bucket);
    if (bucket.records.length >= mostOfBand) {
      this.crowded++;
      return;
    }
    const [high, low] = [record.readUInt32LE(0), record.readUInt32LE(4)];
    const near = bucket.records.find(
      (other) =>
        bitsApart(high, low, other.readUInt32LE(0), other.readUInt32LE(4)) <= mostBits &&
        this.#sameText(record, other) &&
        thumbsNear(thumbIn(record), thumbIn(other)),
    );
    if (near) this.edges.push(edge(record, near));
    // Sections are views of what was read: a copy does not hold all of that.
    const kept = Buffer.from(record);
    bucket.records.push(kept);
    if (!before) same.set(looks, kept);
  }

  #sameText(a: Buffer, b: Buffer): boolean {
    return !this.#pairs || textIn(a) === textIn(b);
  }
}

const idOf = (record: Buffer) => record.readUInt32LE(8);
const textIn = (record: Buffer) => record.readUInt32LE(12);
const thumbIn = (record: Buffer) => record.subarray(16, 16 + thumbBytes);
const edge = (record: Buffer, keeper: Buffer): Edge => ({
  id: idOf(record),
  keeper: idOf(keeper),
  flags: textIn(record) === textIn(keeper) ? 0 : hasTexts,
});

const sameLooks = (a: Buffer, b: Buffer) =>
  a.compare(b, 0, 8, 0, 8) === 0 && a.compare(b, 16, bandBytes, 16, bandBytes) === 0;

/** 32 bits of FNV-1a of hash and thumbnail, and of the text where that counts. */
function looksOf(record: Buffer, text: boolean): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < bandBytes; i++)
    if (i < 8 || i >= (text ? 12 : 16)) hash = Math.imul(hash ^ record[i]!, 0x0100_0193);
  return hash >>> 0;
}
