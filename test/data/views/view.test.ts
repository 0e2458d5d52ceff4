import { describe, expect, it } from 'vitest';
import { gaussianBlur } from '../../../src/data/views/blur.ts';
import { randomCrop } from '../../../src/data/views/random-crop.ts';
import { drawView, globalView, localView } from '../../../src/data/views/view.ts';
import { randomStream } from '../../../src/runtime/random.ts';

describe('a random crop', () => {
  it('lies within the image, and its area and aspect are drawn evenly over their ranges', () => {
    const random = randomStream(1, 'crop');
    const image = { width: 400, height: 300 };
    const areas: number[] = [];
    const aspects: number[] = [];
    for (let i = 0; i < 4000; i++) {
      const { left, top, width, height } = randomCrop(image, [0.05, 0.4], random);
      expect(Math.min(left, top)).toBeGreaterThanOrEqual(0);
      expect(left + width).toBeLessThanOrEqual(400);
      expect(top + height).toBeLessThanOrEqual(300);
      areas.push((width * height) / (400 * 300));
      aspects.push(Math.log(width / height));
    }
    const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
    // Three deviations of the means of uniform draws: (0.4 - 0.05) / sqrt(12) and 2 log(4/3) / sqrt(12), over 63.
    expect(Math.abs(mean(areas) - 0.225)).toBeLessThan(0.006);
    expect(Math.abs(mean(aspects))).toBeLessThan(0.01);
    expect(Math.max(...areas)).toBeLessThan(0.41);
    expect(Math.min(...areas)).toBeGreaterThan(0.045);
  });

  it('of an image in which none fits is its middle at the nearest aspect', () => {
    const wide = { width: 900, height: 30 };
    expect(randomCrop(wide, [0.9, 1], randomStream(1, 'wide'))).toEqual({ left: 430, top: 0, width: 40, height: 30 });
    const pixel = { width: 1, height: 1 };
    expect(randomCrop(pixel, [0.05, 0.4], randomStream(1, 'pixel'))).toEqual({ left: 0, top: 0, width: 1, height: 1 });
  });
});

describe('a blur', () => {
  it('weighs the pixels around by a Gaussian, with edges repeated', () => {
    const [width, height, sigma] = [7, 5, 0.8];
    const random = randomStream(2, 'blur');
    const pixels = Uint8Array.from({ length: width * height * 3 }, () => random.below(256));
    const blurred = pixels.slice();
    gaussianBlur(blurred, width, height, sigma);
    const at = (x: number, y: number, c: number) =>
      pixels[(Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x))) * 3 + c]!;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        for (let c = 0; c < 3; c++) {
          let [sum, weights] = [0, 0];
          for (let dy = -3; dy <= 3; dy++)
            for (let dx = -3; dx <= 3; dx++) {
              const weight = Math.exp(-(dx * dx + dy * dy) / (2 * sigma * sigma));
              sum += weight * at(x + dx, y + dy, c);
              weights += weight;
            }
          expect(Math.abs(blurred[(y * width + x) * 3 + c]! - sum / weights)).toBeLessThan(0.51);
        }
  });
});

describe('a view', () => {
  const random = randomStream(3, 'picture');
  const image = { width: 20, height: 30, data: Uint8Array.from({ length: 1800 }, () => random.below(256)) };
  const view = (settings: typeof globalView, ...counters: number[]) => {
    const out = new Uint8Array(8 * 8 * 3);
    drawView(image, 8, settings, randomStream(1, 'view', ...counters), out);
    return out;
  };

  it('is the same from the same stream, and another from another', () => {
    expect(view(localView, 5, 0)).toEqual(view(localView, 5, 0));
    expect(view(localView, 5, 0)).not.toEqual(view(localView, 5, 1));
    expect(view(localView, 6, 0)).not.toEqual(view(localView, 5, 0));
  });

  it('is grey every fifth time, and flipped every second time', () => {
    const grey = Array.from({ length: 1000 }, (_, i) => view(globalView, i)).filter((pixels) =>
      pixels.every((value, i) => value === pixels[i - (i % 3)]),
    );
    expect(Math.abs(grey.length - 200)).toBeLessThan(40);
    // Dark on the left and bright on the right, whatever else is done to it.
    const slope = {
      width: 40,
      height: 40,
      data: Uint8Array.from({ length: 4800 }, (_, i) => (Math.floor(i / 3) % 40) * 6),
    };
    const flipped = Array.from({ length: 1000 }, (_, i) => {
      const out = new Uint8Array(8 * 8 * 3);
      drawView(slope, 8, localView, randomStream(9, 'slope', i), out);
      return out[0]! > out[7 * 3]!;
    });
    expect(Math.abs(flipped.filter(Boolean).length - 500)).toBeLessThan(50);
  });
});
