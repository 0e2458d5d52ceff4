import type { Fingerprint } from '../data/near/fingerprint.ts';
import { thumbBytes } from '../data/near/fingerprint.ts';
import { bandOf, bands, bandValues } from '../data/near/near.ts';

/** A picture of a part, as it meets others. */
export interface Hashed extends Fingerprint {
  /** Global number. */
  readonly id: number;
  /** First 32 bits of the hash of its texts. */
  readonly text: number;
}

export const exactBytes = 16 + 4 + 4;
export const bandBytes = 8 + 4 + 4 + thumbBytes;

/**
 * Hashes of a part, cut by the partition that compares them: where each partition begins (u32, one more than there are),
 * and for each: how many exact hashes and how many of each band, and these. A partition is read by one range.
 */
export function hashFile(hashed: readonly Hashed[], partitions: number, near: boolean): Buffer {
  const exact: Hashed[][] = Array.from({ length: partitions }, () => []);
  const banded: Hashed[][][] = Array.from({ length: partitions }, () => Array.from({ length: bands }, () => []));
  for (const one of hashed) {
    exact[one.exact.readUInt32LE(0) % partitions]!.push(one);
    for (let band = 0; near && band < bands; band++)
      banded[partitionOf(bandOf(one.high, one.low, band), band, partitions)]![band]!.push(one);
  }
  const sections = exact.map((own, k) => section(own, banded[k]!));
  const index = Buffer.alloc(4 * (partitions + 1));
  let at = index.length;
  for (const [k, { length }] of sections.entries()) {
    index.writeUInt32LE(at, 4 * k);
    at += length;
  }
  index.writeUInt32LE(at, 4 * partitions);
  return Buffer.concat([index, ...sections]);
}

/** Values of bands are spread by a multiplication: neighbours are of different partitions. */
const partitionOf = (value: number, band: number, partitions: number) =>
  (Math.imul(value + band * bandValues + 1, 0x9e37_79b1) >>> 0) % partitions;

function section(exact: readonly Hashed[], banded: readonly (readonly Hashed[])[]): Buffer {
  const header = Buffer.alloc(4 * (1 + bands));
  header.writeUInt32LE(exact.length, 0);
  for (const [band, own] of banded.entries()) header.writeUInt32LE(own.length, 4 * (band + 1));
  const records = [
    ...exact.map(({ exact, id, text }) => Buffer.concat([exact, words(id, text)])),
    ...banded.flat().map(({ high, low, id, text, thumb }) => Buffer.concat([words(high, low, id, text), thumb])),
  ];
  return Buffer.concat([header, ...records]);
}

function words(...values: number[]): Buffer {
  const buffer = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) buffer.writeUInt32LE(value, 4 * i);
  return buffer;
}

/** The records of a partition of one part: exact ones, and those of each band. */
export function recordsOf(section: Buffer): { readonly exact: Buffer; readonly banded: readonly Buffer[] } {
  let at = 4 * (1 + bands);
  const next = (i: number, bytes: number) => {
    const count = section.readUInt32LE(4 * i);
    const own = section.subarray(at, at + count * bytes);
    at += count * bytes;
    return own;
  };
  const exact = next(0, exactBytes);
  return { exact, banded: Array.from({ length: bands }, (_, band) => next(band + 1, bandBytes)) };
}

/** Bytes that a partition begins and ends at, from the two words of the index that say so. */
export const sectionPlace = (index: Buffer): [offset: number, size: number] => [
  index.readUInt32LE(0),
  index.readUInt32LE(4) - index.readUInt32LE(0),
];
