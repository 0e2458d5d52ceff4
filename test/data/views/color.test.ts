import { beforeAll, describe, expect, it } from 'vitest';
import { brightness, colorJitter, contrast, greyscale, saturation } from '../../../src/data/views/color.ts';
import { hue } from '../../../src/data/views/hue.ts';
import { resizeAntialiased } from '../../../src/data/views/resize-antialiased.ts';
import { randomStream } from '../../../src/runtime/random.ts';
import { type Fixture, openFixture } from '../../parity/reference.ts';

/** What Pillow makes of small pictures: fixtures/make_augmented.py. */
let fixture: Fixture;
beforeAll(async () => {
  fixture = await openFixture(new URL('fixtures/augmented.safetensors', import.meta.url));
});
const pictures = [0, 1, 2];
const factors = [0.61, 1, 1.37];
const turns = [-0.1, -0.013, 0.07];

describe('a change of colour', () => {
  it.each([
    ['brightness', brightness, factors],
    ['contrast', contrast, factors],
    ['saturation', saturation, factors],
    ['hue', hue, turns],
  ] as const)('%s has the bytes of Pillow', (name, change, amounts) => {
    for (const i of pictures) {
      for (const [j, amount] of amounts.entries()) {
        const pixels = fixture.bytes(`picture/${i}`).slice();
        change(pixels, amount);
        expect(pixels, `${name}/${i}/${j}`).toEqual(fixture.bytes(`${name}/${i}/${j}`));
      }
    }
  });

  it('to grey has the bytes of Pillow', () => {
    for (const i of pictures) {
      const pixels = fixture.bytes(`picture/${i}`).slice();
      greyscale(pixels);
      expect(pixels).toEqual(fixture.bytes(`grey/${i}`));
    }
  });

  it('by jitter of no strength is none, and that of a stream is the same each time', () => {
    const of = (strength: number, seed: number) => {
      const pixels = fixture.bytes('picture/0').slice();
      const all = { brightness: strength, contrast: strength, saturation: strength, hue: strength / 4 };
      colorJitter(pixels, all, randomStream(seed, 'jitter'));
      return pixels;
    };
    // A hue is turned in 256 steps, so it comes back a little rounded even when it is not turned.
    const still = of(0, 1);
    expect(Math.max(...still.map((value, i) => Math.abs(value - fixture.bytes('picture/0')[i]!)))).toBeLessThan(8);
    expect(of(0.4, 1)).toEqual(of(0.4, 1));
    expect(of(0.4, 2)).not.toEqual(of(0.4, 1));
  });
});

describe('bicubic resizing', () => {
  it.each([12, 29])('has the bytes of Pillow, to %i pixels', (size) => {
    for (const i of pictures) {
      const [height, width] = fixture.shape(`picture/${i}`) as [number, number];
      const out = new Uint8Array(size * size * 3);
      resizeAntialiased({ width, height, data: fixture.bytes(`picture/${i}`) }, size, size, out, 0, 'bicubic');
      expect(out).toEqual(fixture.bytes(`bicubic/${i}/${size}`));
    }
  });
});
