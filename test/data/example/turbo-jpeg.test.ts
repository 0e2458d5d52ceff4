import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeImage } from '../../../src/data/example/decode.ts';
import { jpegSize } from '../../../src/data/example/jpeg-size.ts';
import type { Pixels } from '../../../src/data/example/pixels.ts';
import { decodeTurbo } from '../../../src/data/example/turbo-jpeg.ts';

const file = (name: string) => readFileSync(new URL(`fixtures/jpeg/${name}`, import.meta.url));
const pixels = JSON.parse(file('pixels.json').toString()) as Record<string, string>;
const hashOf = ({ width, height, data }: Pixels) =>
  `${width}x${height} ${createHash('sha256').update(data).digest('hex')}`;

/** As `decodeImage` has it where there is no libjpeg-turbo. */
async function byVips(bytes: Uint8Array): Promise<Pixels> {
  const image = sharp(bytes, { failOn: 'error', ignoreIcc: true }).flatten({ background: '#fff' });
  const { data, info } = await image
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data };
}

describe('a JPEG by libjpeg-turbo', () => {
  it.each(Object.entries(pixels))('%s has the bytes of Pillow and of libvips', async (name, expected) => {
    const bytes = file(name);
    expect(hashOf(decodeTurbo(bytes, jpegSize(bytes)!)!)).toBe(expected);
    expect(hashOf(await decodeImage(bytes))).toBe(expected);
    expect(hashOf(await byVips(bytes))).toBe(expected);
  });

  it('is put where it is told, and nothing is written beside it', () => {
    const bytes = file('420-61x43.jpg');
    const memory = new Uint8Array(61 * 43 * 3 + 20).fill(7);
    const made = decodeTurbo(bytes, jpegSize(bytes)!, (length) => memory.subarray(10, 10 + length))!;
    expect(hashOf(made)).toBe(pixels['420-61x43.jpg']);
    expect([...memory.subarray(0, 10), ...memory.subarray(-10)]).toEqual(Array(20).fill(7));
  });

  it('that is damaged is as libvips has it, or an error where that has one', async () => {
    const whole = file('444-61x43.jpg');
    let wrong = 0;
    for (let i = 0; i < 120; i++) {
      // A byte is another, each time elsewhere; or the file ends there.
      const at = 2 + ((i * 379) % (whole.length - 2));
      const bytes = i % 4 === 0 ? whole.subarray(0, at) : Buffer.from(whole).fill((i * 91) & 255, at, at + 1);
      const expected = await byVips(bytes).catch(() => null);
      const size = jpegSize(bytes);
      const made = size && size.width * size.height < 1e6 ? decodeTurbo(bytes, size) : null;
      if (made === null) wrong++;
      else expect(hashOf(made)).toBe(expected && hashOf(expected));
    }
    expect(wrong).toBeGreaterThan(30);
    expect(wrong).toBeLessThan(120);
  });

  it('of inks, of another size than is said, or that is no JPEG is left to libvips', async () => {
    const flat = sharp({ create: { width: 8, height: 8, channels: 3, background: '#345' } });
    const inks = await flat.clone().toColourspace('cmyk').jpeg().toBuffer();
    expect(decodeTurbo(inks, jpegSize(inks)!)).toBeNull();
    const bytes = await flat.jpeg().toBuffer();
    const size = jpegSize(bytes)!;
    expect(decodeTurbo(bytes, size)).not.toBeNull();
    for (const other of [{ width: 7 }, { height: 9 }, { frame: 0xc9 }, { components: 4 }])
      expect(decodeTurbo(bytes, { ...size, ...other })).toBeNull();
    expect(decodeTurbo(Buffer.from('no picture'), size)).toBeNull();
  });
});
