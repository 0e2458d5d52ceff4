import { expect, it } from 'vitest';
import { gaussianBlur } from '../../../src/data/views/blur.ts';
import { resizeBilinear } from '../../../src/data/views/resize.ts';
import { resizeAntialiased } from '../../../src/data/views/resize-antialiased.ts';
import { plainly, simd } from '../../../src/data/views/simd/memory.ts';
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
