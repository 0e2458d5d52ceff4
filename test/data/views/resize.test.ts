import { expect, test } from 'vitest';
import { drawCrop } from '../../../src/data/views/crop.ts';
import { resizeBilinear } from '../../../src/data/views/resize.ts';
import { randomStream } from '../../../src/runtime/random.ts';
import { tf } from '../../../src/runtime/tensorflow.ts';

function picture(width: number, height: number) {
  const random = randomStream(0, 'picture', width, height);
  return { width, height, data: Uint8Array.from({ length: width * height * 3 }, () => random.below(256)) };
}

function resized(image: ReturnType<typeof picture>, size: number, box?: Parameters<typeof resizeBilinear>[4]) {
  const out = new Uint8Array(size * size * 3);
  resizeBilinear(image, size, out, 0, box);
  return out;
}

test('resizing gives the bytes of tf.image.resize, clipped and truncated', () => {
  for (const [width, height, size] of [
    [64, 64, 32],
    [64, 64, 64],
    [64, 64, 48],
    [100, 37, 32],
    [33, 71, 224],
    [1, 1, 16],
    [3, 500, 16],
    [640, 427, 224],
  ] as const) {
    const image = picture(width, height);
    const expected = tf.tidy(() => {
      const pixels = tf.tensor3d(Float32Array.from(image.data), [height, width, 3]);
      const bilinear = tf.image.resizeBilinear(pixels, [size, size], false, true);
      return Uint8Array.from(bilinear.clipByValue(0, 255).dataSync());
    });
    expect(Buffer.from(resized(image, size)).equals(Buffer.from(expected)), `${width} x ${height} to ${size}`).toBe(
      true,
    );
  }
});

test('the default crop is the whole image, to the bit', () => {
  const image = picture(100, 37);
  const crop = drawCrop(image, { scale: [1, 1], shift: 0 }, randomStream(0, 'crop', 1));
  expect(resized(image, 32, crop)).toEqual(resized(image, 32));
});

test('a box within the image gives what resizing that part gives, away from its edges', () => {
  const image = picture(40, 40);
  const part = { width: 20, height: 20, data: new Uint8Array(20 * 20 * 3) };
  for (let y = 0; y < 20; y++) {
    part.data.set(image.data.subarray(((y + 8) * 40 + 4) * 3, ((y + 8) * 40 + 24) * 3), y * 60);
  }
  const box = { x: 4, y: 8, width: 20, height: 20 };
  expect(resized(image, 10, box)).toEqual(resized(part, 10));
  expect(resized(image, 20, box)).toEqual(part.data);
});

test('beyond the edges of the image all is white', () => {
  const black = { width: 4, height: 4, data: new Uint8Array(48) };
  const around = resized(black, 8, { x: -2, y: -2, width: 8, height: 8 });
  const rows = Array.from({ length: 8 }, (_, y) =>
    Array.from({ length: 8 }, (_, x) => (around[(y * 8 + x) * 3] === 255 ? '.' : '#')).join(''),
  );
  expect(rows).toEqual([
    '........',
    '........',
    '..####..',
    '..####..',
    '..####..',
    '..####..',
    '........',
    '........',
  ]);
  expect(new Set(resized(black, 8, { x: 10, y: 0, width: 4, height: 4 }))).toEqual(new Set([255]));
});

test('crops have sides and places spread evenly over what the recipe allows', () => {
  const augment = { scale: [0.8, 1.2] as [number, number], shift: 0.1 };
  const crops = Array.from({ length: 4000 }, (_, k) =>
    drawCrop({ width: 100, height: 50 }, augment, randomStream(0, 'crop/p', k)),
  );
  const spread = (values: number[]) => [
    Math.min(...values),
    values.reduce((a, b) => a + b) / 4000,
    Math.max(...values),
  ];
  const [least, mean, most] = spread(crops.map(({ width }) => width));
  expect(least).toBeCloseTo(80, 0);
  expect(mean).toBeCloseTo(100, 0);
  expect(most).toBeCloseTo(120, 0);
  const [left, middle, right] = spread(crops.map(({ x, width }) => x + width / 2));
  expect(left).toBeCloseTo(40, 0);
  expect(middle).toBeCloseTo(50, 0);
  expect(right).toBeCloseTo(60, 0);
  for (const { width, height } of crops) expect(height).toBeCloseTo(width / 2, 9);
});
