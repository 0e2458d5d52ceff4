import { createHash } from 'node:crypto';
import sharp from 'sharp';
import type { Pixels } from '../example/pixels.ts';
import { resizeAntialiased } from '../views/resize-antialiased.ts';

/** Bytes of a thumbnail: the light of 16 x 16 fields, and the colours of 4 x 4. */
export const thumbBytes = 16 * 16 + 4 * 4 * 3;

/** What tells a picture from others. */
export interface Fingerprint {
  /** Of size and pixels, 16 bytes: two of 10^8 pictures share one with a chance of 10^-23. */
  readonly exact: Buffer;
  /** dHash of 8 x 8 (Krawetz 2013): two words of 32 bits, the upper rows first. */
  readonly high: number;
  readonly low: number;
  readonly thumb: Uint8Array;
}

/** Larger pictures are shrunk to this before anything else: a hash looks at 72 fields, and the loop in C is ten times faster. */
const shrunkSide = 128;

/** Equal pixels have equal fingerprints; copies in other sizes and qualities have near ones. */
export async function fingerprint(image: Pixels): Promise<Fingerprint> {
  const exact = createHash('sha256')
    .update(`${image.width} ${image.height} `)
    .update(image.data)
    .digest()
    .subarray(0, 16);
  const small = await shrunk(image);
  const [high, low] = dHash(small);
  return { exact, high, low, thumb: thumbOf(small) };
}

async function shrunk({ width, height, data }: Pixels): Promise<Pixels> {
  if (width <= shrunkSide && height <= shrunkSide) return { width, height, data };
  const to = { width: Math.min(width, shrunkSide), height: Math.min(height, shrunkSide) };
  const raw = { width, height, channels: 3 } as const;
  const bytes = await sharp(data, { raw, limitInputPixels: false })
    .resize({ ...to, fit: 'fill', kernel: 'linear' })
    .raw()
    .toBuffer();
  return { ...to, data: bytes };
}

/** Whether each of 8 x 8 fields is lighter than the one left of it, row by row from the highest bit on. */
export function dHash(image: Pixels): [high: number, low: number] {
  const fields = new Uint8Array(9 * 8 * 3);
  resizeAntialiased(image, 9, 8, fields);
  const words: [number, number] = [0, 0];
  for (let y = 0; y < 8; y++)
    for (let x = 0; x < 8; x++) {
      const bit = light(fields, 9 * y + x + 1) > light(fields, 9 * y + x) ? 1 : 0;
      const word = y < 4 ? 0 : 1;
      words[word] = ((words[word] << 1) | bit) >>> 0;
    }
  return words;
}

function thumbOf(image: Pixels): Uint8Array {
  const fields = new Uint8Array(16 * 16 * 3);
  resizeAntialiased(image, 16, 16, fields);
  const thumb = new Uint8Array(thumbBytes);
  for (let i = 0; i < 256; i++) thumb[i] = light(fields, i);
  resizeAntialiased(image, 4, 4, thumb, 256);
  return thumb;
}

/** As Pillow turns a pixel to grey: ITU-R 601-2 in 16 bits. */
const light = (fields: Uint8Array, i: number) =>
  (fields[3 * i]! * 19_595 + fields[3 * i + 1]! * 38_470 + fields[3 * i + 2]! * 7_471 + 0x8000) >> 16;
