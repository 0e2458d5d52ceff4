import type { Fingerprint } from './fingerprint.ts';

/**
 * Whether two pictures are one, in other sizes or qualities: their dHash differs in at most 6 of 64 bits, and no field of
 * their thumbnails by more than 12 of 255. Hashes alone join whatever has one outline: of 46.8 million pairs of emoji
 * 188,915 are within 8 bits, and 26 of those that are not equal within both bounds, such as the flags of Norway and Svalbard
 * (test/packing/duplicates.test.ts holds a part of that).
 */
export const mostBits = 6;
export const mostThumb = 12;

/** Bits of a hash by which copies find one another: pictures meet that share all bits of one of these bands. */
export const bands = 4;
export const bandValues = 2 ** (64 / bands);

/**
 * The value of a band: every fourth bit, so that an even part of a picture does not settle one. Copies within 3 bits share
 * a band for certain; with 4, 5, 6 bits by chance they do in 91, 77, 62 of 100.
 */
export function bandOf(high: number, low: number, band: number): number {
  let value = 0;
  for (let bit = band; bit < 32; bit += bands) value = (value << 1) | ((high >>> bit) & 1);
  for (let bit = band; bit < 32; bit += bands) value = (value << 1) | ((low >>> bit) & 1);
  return value;
}

export function bitsApart(high: number, low: number, otherHigh: number, otherLow: number): number {
  return ones(high ^ otherHigh) + ones(low ^ otherLow);
}

function ones(word: number): number {
  const pairs = word - ((word >>> 1) & 0x5555_5555);
  const fours = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

/** Whether no field of two thumbnails differs by more than the bound. */
export function thumbsNear(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) {
    const apart = a[i]! - b[i]!;
    if (apart > mostThumb || apart < -mostThumb) return false;
  }
  return true;
}

/** What is compared of two pictures. */
export type Outline = Pick<Fingerprint, 'high' | 'low' | 'thumb'>;

/** Whether they are one picture, in other sizes or qualities. */
export const areNear = (a: Outline, b: Outline): boolean =>
  bitsApart(a.high, a.low, b.high, b.low) <= mostBits && thumbsNear(a.thumb, b.thumb);
