import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeImage } from '../../../src/data/example/decode.ts';
import { fingerprint } from '../../../src/data/near/fingerprint.ts';
import { areNear, bandOf, bands, type Outline } from '../../../src/data/near/near.ts';
import { NearCopies } from '../../../src/data/stats/near-copies.ts';
import { Repeats } from '../../../src/data/stats/repeats.ts';
import { Numbers } from '../../../src/data/stats/spread.ts';
import { randomStream } from '../../../src/runtime/random.ts';
import { openFixture } from '../../parity/reference.ts';

const hashOf = (i: number) => createHash('sha256').update(`${i}`).digest('hex');

describe('what numbers are spread over', () => {
  it('is that of the sorted list, and above 16,384 to three digits', () => {
    const random = randomStream(1, 'numbers');
    const values = Array.from({ length: 2001 }, () => Math.floor(10 ** (5.5 * random.next())));
    const numbers = new Numbers();
    for (const value of values) numbers.add(value);
    const sorted = [...values].sort((a, b) => a - b);
    const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1]!;
    const { min, p5, median, p95, max, mean } = numbers.spread!;
    expect([min, p5, median, max]).toEqual([sorted[0], at(0.05), at(0.5), sorted.at(-1)]);
    expect(at(0.95)).toBeGreaterThan(16_384);
    expect(Math.abs(p95 / at(0.95) - 1)).toBeLessThan(0.005);
    expect(mean).toBeCloseTo(values.reduce((a, b) => a + b) / values.length, 0);
    expect(numbers.from(100)).toBe(values.filter((value) => value >= 100).length);
    expect(new Numbers().spread).toBe(null);
  });
});

describe('copies', () => {
  it('are counted one by one while the table takes them, and by an even share of all after that', () => {
    // 9,000 pictures of which each third is there twice: a quarter are copies.
    const [whole, small] = [new Repeats(), new Repeats(1000)];
    for (let i = 0; i < 9000; i++) {
      for (const repeats of [whole, small]) repeats.add(hashOf(i));
      if (i % 3 === 0) for (const repeats of [whole, small]) repeats.add(hashOf(i));
    }
    expect(whole.found).toEqual({ followed: 12_000, copies: 3000, all: true });
    const { followed, copies, all } = small.found;
    expect(all).toBe(false);
    expect(followed).toBeLessThan(1500);
    // Four standard deviations of as many draws.
    expect(Math.abs(copies / followed - 0.25)).toBeLessThan(4 * Math.sqrt(0.1875 / followed));
  });
});

describe('near copies', () => {
  it('have the dHash and the colours that Pillow gives', async () => {
    const pictures = await openFixture(new URL('../views/fixtures/boxes.safetensors', import.meta.url));
    const wanted = JSON.parse(readFileSync(new URL('fixtures/outlines.json', import.meta.url), 'utf8'));
    const found = [];
    for (let i = 0; i < wanted.length; i++) {
      const [height, width] = pictures.shape(`picture/${i}`) as [number, number];
      const { high, low, thumb } = await fingerprint({ width, height, data: pictures.bytes(`picture/${i}`) });
      const hex = (word: number) => word.toString(16).padStart(8, '0');
      found.push({ hash: hex(high) + hex(low), colours: [...thumb.subarray(256)] });
    }
    expect(found).toEqual(wanted);
    expect(found).toHaveLength(11);
  });

  it('are those that a loop over all pairs finds, up to as many as are compared', () => {
    const random = randomStream(2, 'outlines');
    const outlines: Outline[] = Array.from({ length: 600 }, () => {
      const word = (base: number) => (random.next() < 0.5 ? base : (base ^ (1 << random.below(32))) >>> 0);
      const group = random.below(150);
      const base = randomStream(3, 'group', group);
      const thumb = Uint8Array.from({ length: 304 }, () => 100 + random.below(13));
      return { high: word(base.below(2 ** 31)), low: word(base.below(2 ** 31)), thumb };
    });
    const meet = (a: Outline, b: Outline) =>
      Array.from({ length: bands }, (_, i) => i).some((i) => bandOf(a.high, a.low, i) === bandOf(b.high, b.low, i));
    const near = new NearCopies(500);
    for (const outline of outlines) near.add(outline);
    const kept: Outline[] = [];
    for (const outline of outlines.slice(0, 500))
      if (!kept.some((other) => meet(other, outline) && areNear(other, outline))) kept.push(outline);
    expect([near.compared, near.copies, near.isFull]).toEqual([500, 500 - kept.length, true]);
    expect(near.copies).toBeGreaterThan(200);
    expect(near.copies).toBeLessThan(400);
  });

  it('are pictures in another size and quality, and not other pictures or other colours', async () => {
    const of = async (i: number, change: (image: Sharp) => Sharp) => {
      const hue = `hsl(${i * 40}, 70%, 50%)`;
      const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="320" height="240"><rect width="320" height="240" fill="#dde"/>
        <circle cx="${60 + 45 * i}" cy="${70 + 20 * i}" r="55" fill="${hue}"/><path d="M0 ${20 * i} L320 240 L0 240" fill="#246"/></svg>`;
      return fingerprint(await decodeImage(await change(sharp(Buffer.from(svg))).toBuffer()));
    };
    const [first, small, poor, other] = [
      await of(1, (image) => image.png()),
      await of(1, (image) => image.resize(150).webp({ quality: 80 })),
      await of(1, (image) => image.jpeg({ quality: 60 })),
      await of(3, (image) => image.png()),
    ];
    expect([small, poor, other].map((one) => areNear(first, one))).toEqual([true, true, false]);
    const flat = (value: number) => fingerprint({ width: 9, height: 8, data: new Uint8Array(216).fill(value) });
    const [dark, near, light] = [await flat(10), await flat(20), await flat(40)];
    expect([areNear(dark, near), areNear(dark, light)]).toEqual([true, false]);
  });
});
