import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { CorruptExample } from '../../../src/data/example/corrupt-example.ts';
import { decodeImage } from '../../../src/data/example/decode.ts';

const red = sharp({ create: { width: 3, height: 2, channels: 3, background: { r: 200, g: 10, b: 30 } } });
const clear = { r: 0, g: 0, b: 0, alpha: 0.5 };

test('every format and kind of pixel becomes 8-bit sRGB with three channels', async () => {
  for (const bytes of [
    await red.clone().png().toBuffer(),
    await red.clone().png({ palette: true }).toBuffer(),
    await red.clone().toColourspace('rgb16').png().toBuffer(),
    await red.clone().webp({ lossless: true }).toBuffer(),
    await red.clone().tiff().toBuffer(),
    await red.clone().gif().toBuffer(),
  ]) {
    const { width, height, data } = await decodeImage(bytes);
    expect([width, height, data.length]).toEqual([3, 2, 18]);
    // Palettes and 16 bits cost the last bit.
    expect(data.every((value, i) => Math.abs(value - [200, 10, 30][i % 3]!) <= 1)).toBe(true);
  }
  expect([...(await decodeImage(await red.clone().png().toBuffer())).data.subarray(15)]).toEqual([200, 10, 30]);
  const jpeg = await decodeImage(await red.clone().jpeg({ quality: 100 }).toBuffer());
  expect(jpeg.data.every((value, i) => Math.abs(value - [200, 10, 30][i % 3]!) <= 2)).toBe(true);
});

const picture = (name: string) => readFileSync(new URL(`fixtures/colour/${name}`, import.meta.url));
const pixels = JSON.parse(picture('pixels.json').toString()) as Record<string, string>;

test.each(Object.entries(pixels))(
  '%s has the pixels that Pillow converts to RGB, to the byte',
  async (name, expected) => {
    const { width, height, data } = await decodeImage(picture(name), 'dropped');
    expect(`${width}x${height} ${createHash('sha256').update(data).digest('hex')}`).toBe(expected);
  },
);

test('a colour profile is not looked at, and red in four inks is red', async () => {
  expect(await decodeImage(picture('wide-gamut.png'))).toEqual(await decodeImage(picture('plain.png')));
  const [r, g, b] = (await decodeImage(picture('cmyk-red.jpg'))).data;
  expect([r, g, b]).toEqual([255, 0, 0]);
});

test('what is clear is white in training, and has its own colour where transparency is dropped', async () => {
  const [white, dropped] = [
    await decodeImage(picture('alpha.png')),
    await decodeImage(picture('alpha.png'), 'dropped'),
  ];
  expect([...white.data.subarray(0, 3)]).toEqual([255, 255, 255]);
  expect([...dropped.data.subarray(0, 3)]).toEqual([0, 0, 255]);
});

test('grey becomes three equal channels and alpha is laid on white', async () => {
  const grey = await sharp(Buffer.from([0, 100, 255, 7]), { raw: { width: 2, height: 2, channels: 1 } })
    .png()
    .toBuffer();
  expect([...(await decodeImage(grey)).data]).toEqual([0, 0, 0, 100, 100, 100, 255, 255, 255, 7, 7, 7]);
  const half = await sharp({ create: { width: 1, height: 1, channels: 4, background: clear } })
    .png()
    .toBuffer();
  const [r, g, b] = (await decodeImage(half)).data;
  expect([r, g, b]).toEqual([127, 127, 127]);
});

test('what is no image, is cut short, or is a document is corrupt, and never more than that', async () => {
  const png = await sharp({
    create: {
      width: 64,
      height: 64,
      channels: 3,
      background: 'red',
      noise: { type: 'gaussian', mean: 100, sigma: 50 },
    },
  })
    .png()
    .toBuffer();
  const damaged = Buffer.from(png);
  damaged.fill(0x55, 200, 400);
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.from('hello, I am a text'),
    Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
    Buffer.from('%PDF-1.7\n'),
    png.subarray(0, png.length / 2),
    png.subarray(0, 30),
    damaged,
  ]) {
    await expect(decodeImage(bytes)).rejects.toBeInstanceOf(CorruptExample);
  }
});

test('a small file that claims a huge image is refused before memory is spent', async () => {
  const png = await red.clone().png().toBuffer();
  const bomb = Buffer.from(png);
  bomb.writeUInt32BE(60_000, 16);
  bomb.writeUInt32BE(60_000, 20);
  bomb.writeUInt32BE(crc32(bomb.subarray(12, 29)), 29);
  const before = process.memoryUsage().rss;
  await expect(decodeImage(bomb)).rejects.toThrow(/pixel limit/);
  expect(process.memoryUsage().rss - before).toBeLessThan(100e6);
});

test('containers are known by all brands that they are compatible with, and BigTIFF is TIFF', async () => {
  const avif = await red.clone().avif({ lossless: true }).toBuffer();
  // As libheif and Apple write the same picture: its own brand is that of any still image.
  const still = Buffer.from(avif);
  still.write('mif1', 8);
  still.write('avif', 16);
  const tiff = await red.clone().tiff({ bigtiff: true }).toBuffer();
  expect(tiff.toString('latin1', 0, 4)).toBe('II+\0');
  for (const bytes of [avif, still, tiff]) {
    const { width, height, data } = await decodeImage(bytes);
    expect([width, height]).toEqual([3, 2]);
    expect(data.every((value, i) => Math.abs(value - [200, 10, 30][i % 3]!) <= 2)).toBe(true);
  }
  const heic = Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic avif', 'latin1');
  await expect(decodeImage(heic)).rejects.toThrow(/^not a PNG, JPEG, WebP, GIF, AVIF or TIFF image$/);
});

test('what stands in for a picture is named', async () => {
  const pointer = Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n');
  await expect(decodeImage(pointer)).rejects.toThrow('image: a Git LFS pointer: git lfs pull fetches the file itself');
  await expect(decodeImage(Buffer.from('<html><body>404'))).rejects.toThrow('image: an HTML page');
});
