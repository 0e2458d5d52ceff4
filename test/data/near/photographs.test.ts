import { readdirSync, readFileSync } from 'node:fs';
import sharp, { type Sharp } from 'sharp';
import { expect, test } from 'vitest';
import { decodeInTurn } from '../../../src/data/example/decode-in-turn.ts';
import { type Fingerprint, fingerprint } from '../../../src/data/near/fingerprint.ts';
import { areNear, bandOf, bands } from '../../../src/data/near/near.ts';

/** Fifteen photographs of 256 pixels; fixtures/licences.md says whose they are. */
const folder = new URL('fixtures/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.jpg'));
const photographs = await Promise.all(
  files.map(async (name) => {
    const bytes = readFileSync(new URL(name, folder));
    const { width, height } = await sharp(bytes).metadata();
    return { bytes, width, height, print: await printOf(bytes) };
  }),
);
type Photograph = (typeof photographs)[number];

async function printOf(bytes: Buffer): Promise<Fingerprint> {
  return fingerprint(await decodeInTurn(bytes));
}

const share = (of: Photograph, scale: number) => Math.round(of.width * scale);
const of85 = (image: Sharp) => image.jpeg({ quality: 85 }).toBuffer();

/** What is done to a picture on its way through the web. */
const copies: Readonly<Record<string, (of: Photograph) => Promise<Buffer>>> = {
  'JPEG of 90': ({ bytes }) => sharp(bytes).jpeg({ quality: 90 }).toBuffer(),
  'JPEG of 75': ({ bytes }) => sharp(bytes).jpeg({ quality: 75 }).toBuffer(),
  'JPEG of 50': ({ bytes }) => sharp(bytes).jpeg({ quality: 50 }).toBuffer(),
  'JPEG of 30': ({ bytes }) => sharp(bytes).jpeg({ quality: 30 }).toBuffer(),
  'WebP of 60': ({ bytes }) => sharp(bytes).webp({ quality: 60 }).toBuffer(),
  'three quarters': (of) => of85(sharp(of.bytes).resize(share(of, 0.75))),
  half: (of) => of85(sharp(of.bytes).resize(share(of, 0.5))),
  'a quarter': (of) => of85(sharp(of.bytes).resize(share(of, 0.25))),
  double: (of) => of85(sharp(of.bytes).resize(share(of, 2))),
  'a square': ({ bytes }) => of85(sharp(bytes).resize(128, 128, { fit: 'fill' })),
  'a little lighter': ({ bytes }) => of85(sharp(bytes).linear(1, 8)),
  'a little more contrast': ({ bytes }) => of85(sharp(bytes).linear(1.05, -6)),
  blurred: ({ bytes }) => of85(sharp(bytes).blur(1)),
};

/** What makes another picture of it, by these bounds. */
const changed: Readonly<Record<string, (of: Photograph) => Promise<Buffer>>> = {
  'without a twentieth at each edge': ({ bytes, width, height }) => {
    const [left, top] = [Math.round(width / 20), Math.round(height / 20)];
    return of85(sharp(bytes).extract({ left, top, width: width - 2 * left, height: height - 2 * top }));
  },
  'much lighter': ({ bytes }) => of85(sharp(bytes).linear(1, 20)),
  mirrored: ({ bytes }) => of85(sharp(bytes).flop()),
};

const meet = (a: Fingerprint, b: Fingerprint) =>
  Array.from({ length: bands }, (_, band) => band).some(
    (band) => bandOf(a.high, a.low, band) === bandOf(b.high, b.low, band),
  );

test('photographs that were written anew, resized or touched up a little are found to be one', async () => {
  expect(photographs).toHaveLength(15);
  let [near, found, all] = [0, 0, 0];
  for (const [name, make] of Object.entries(copies)) {
    let own = 0;
    for (const photograph of photographs) {
      const copy = await printOf(await make(photograph));
      all++;
      if (!areNear(photograph.print, copy)) continue;
      own++;
      near++;
      if (meet(photograph.print, copy)) found++;
    }
    expect(own, name).toBeGreaterThanOrEqual(14);
  }
  // All but some of a wall of bricks, whose fields are as light as one another.
  expect(near / all).toBeGreaterThan(0.96);
  expect(found / all).toBeGreaterThan(0.95);
});

test('photographs that were cut, made much lighter or mirrored stay pictures of their own', async () => {
  for (const [name, make] of Object.entries(changed)) {
    let joined = 0;
    for (const photograph of photographs)
      if (areNear(photograph.print, await printOf(await make(photograph)))) joined++;
    expect(joined, name).toBe(0);
  }
});

test('none of 2,775 pairs of photographs and their quarters is taken for one', async () => {
  const prints = photographs.map(({ print }) => print);
  for (const { bytes, width, height } of photographs)
    for (const [x, y] of [
      [0, 0],
      [1, 0],
      [0, 1],
      [1, 1],
    ] as const) {
      const [w, h] = [width >> 1, height >> 1];
      prints.push(
        await printOf(
          await sharp(bytes)
            .extract({ left: x * w, top: y * h, width: w, height: h })
            .png()
            .toBuffer(),
        ),
      );
    }
  let pairs = 0;
  for (const [i, a] of prints.entries())
    for (const b of prints.slice(0, i)) {
      pairs++;
      expect(areNear(a, b)).toBe(false);
    }
  expect(pairs).toBe(2775);
});
