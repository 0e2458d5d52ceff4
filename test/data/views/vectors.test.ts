import { expect, it } from 'vitest';
import { gaussianBlur } from '../../../src/data/views/blur.ts';
import { brightness, contrast, greyscale, saturation } from '../../../src/data/views/color.ts';
import { hue } from '../../../src/data/views/hue.ts';
import { resizeBilinear } from '../../../src/data/views/resize.ts';
import { resizeAntialiased } from '../../../src/data/views/resize-antialiased.ts';
import { plainly, simd } from '../../../src/data/views/simd/memory.ts';
import { atHand } from '../../../src/data/views/view.ts';
import { randomStream } from '../../../src/runtime/random.ts';

const random = randomStream(7, 'vectors');
const within = (most: number) => 1 + random.below(most);
const noise = (width: number, height: number) => ({
  width,
  height,
  data: Uint8Array.from({ length: width * height * 3 }, () => random.below(256)),
});

/** What vectors write and what plain loops write, with bytes before and after that neither may touch. */
function both(length: number, write: (out: Uint8Array) => void): [Buffer, Buffer] {
  const [fast, plain] = [Buffer.alloc(length, 7), Buffer.alloc(length, 7)];
  write(fast);
  plainly(() => write(plain));
  return [fast, plain];
}

it('vectors have the bytes of plain loops, in 100 shapes down to one pixel, with every kernel, parts of pictures and blurs', () => {
  expect(simd()).not.toBeNull();
  for (let i = 0; i < 100; i++) {
    const image = noise(within(i % 10 ? 90 : 3), within(i % 7 ? 90 : 2));
    const [width, height] = [within(60), within(60)];
    const part = { width: within(image.width), height: within(image.height) };
    const box = {
      ...part,
      left: random.below(image.width - part.width + 1),
      top: random.below(image.height - part.height + 1),
    };
    const kernel = (['bilinear', 'bicubic', 'box', 'hamming', 'lanczos'] as const)[i % 5]!;
    const sigma = 0.1 + 1.9 * random.next();
    const cases = [
      both(width * height * 3 + 20, (out) => resizeAntialiased(image, width, height, out, 10, kernel, box)),
      both(width * width * 3 + 20, (out) => resizeBilinear(image, width, out, 10)),
      both(image.data.length, (out) => {
        out.set(image.data);
        gaussianBlur(out, image.width, image.height, sigma);
      }),
    ];
    for (const [fast, plain] of cases) expect(fast.equals(plain)).toBe(true);
  }
});

it('changes of colour in vectors have the bytes of plain loops: 262,144 colours, and pictures of 1 to 50 pixels', () => {
  const changes = [
    ['brightness', (out: Uint8Array) => brightness(out, 1.3)],
    ['contrast', (out: Uint8Array) => contrast(out, 0.7)],
    ['saturation', (out: Uint8Array) => saturation(out, 1.9)],
    ['grey', greyscale],
    ['hue', (out: Uint8Array) => hue(out, 0.09)],
    ['hue back', (out: Uint8Array) => hue(out, -0.04)],
  ] as const;
  const held = (name: string, pixels: Uint8Array, change: (out: Uint8Array) => void) => {
    const [fast, plain] = both(pixels.length, (out) => {
      out.set(pixels);
      change(out);
    });
    expect(fast.equals(plain), name).toBe(true);
  };
  // One in 64 of all colours: the rest would take half a minute.
  for (let red = 0; red < 256; red++) {
    const [green, blue] = [red % 8, (3 * red) % 8];
    const colours = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => {
      const [at, channel] = [Math.floor(i / 3), i % 3];
      return [red, green + 8 * Math.floor(at / 32), blue + 8 * (at % 32)][channel]!;
    });
    for (const [name, change] of changes) held(`${name} of red ${red}`, colours, change);
  }
  for (let pixels = 1; pixels <= 50; pixels++)
    for (const [name, change] of changes) held(`${name} of ${pixels} pixels`, noise(pixels, 1).data, change);
});

it('a picture that is held has the bytes of one that is not, and is let go', () => {
  const image = noise(80, 60);
  const crop = (out: Uint8Array, left: number) =>
    resizeAntialiased(image, 20, 15, out, 0, 'bicubic', { left, top: 9, width: 31, height: 40 });
  const [own, held, later] = [1, 2, 3].map(() => new Uint8Array(20 * 15 * 3)) as [Uint8Array, Uint8Array, Uint8Array];
  crop(own, 11);
  atHand(image, () => {
    crop(new Uint8Array(20 * 15 * 3), 3);
    crop(held, 11);
  });
  expect(held).toEqual(own);
  image.data.fill(200);
  crop(later, 11);
  expect(later.every((value) => value === 200)).toBe(true);
});

it('a flipped picture is the picture with left and right exchanged', () => {
  const image = noise(37, 23);
  const [straight, flipped] = [new Uint8Array(16 * 12 * 3), new Uint8Array(16 * 12 * 3)];
  resizeAntialiased(image, 16, 12, straight, 0, 'bicubic');
  resizeAntialiased(image, 16, 12, flipped, 0, 'bicubic', undefined, true);
  const pixel = (of: Uint8Array, x: number, y: number) => [...of.subarray((y * 16 + x) * 3, (y * 16 + x + 1) * 3)];
  for (let y = 0; y < 12; y++)
    for (let x = 0; x < 16; x++) expect(pixel(flipped, x, y)).toEqual(pixel(straight, 15 - x, y));
});

it('a part of a picture is resized as if it had been cut out', () => {
  const image = noise(40, 30);
  const box = { left: 5, top: 7, width: 21, height: 13 };
  const cut = { width: 21, height: 13, data: new Uint8Array(21 * 13 * 3) };
  for (let y = 0; y < 13; y++)
    cut.data.set(image.data.subarray(((7 + y) * 40 + 5) * 3, ((7 + y) * 40 + 26) * 3), y * 63);
  const [of, own] = [new Uint8Array(16 * 16 * 3), new Uint8Array(16 * 16 * 3)];
  resizeAntialiased(image, 16, 16, of, 0, 'bicubic', box);
  resizeAntialiased(cut, 16, 16, own, 0, 'bicubic');
  expect(of).toEqual(own);
});

it('a picture that has no room among vectors is resized by plain loops, with the same bytes', () => {
  const tall = { width: 40, height: 150_000, data: new Uint8Array(40 * 150_000 * 3).fill(90) };
  const out = new Uint8Array(64 * 64 * 3);
  resizeAntialiased(tall, 64, 64, out);
  expect(out.every((value) => value === 90)).toBe(true);
});
