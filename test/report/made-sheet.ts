import sharp from 'sharp';
import type { Sheet } from '../../src/evaluate/sheet/sheet.ts';
import type { CuratedSheet } from '../../src/report/types.ts';

const idOf = (i: number) => i.toString(16).padStart(16, '0');

const noiseOf = (k: number) => {
  const mixed = Math.imul(k ^ (k >>> 15), 0x2c1b3c6d);
  return (Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39) >>> 16) & 255;
};

/** A disc on a ground, another one for each number. */
async function picture(i: number, noise = false) {
  const [width, height] = i % 3 === 0 ? [112, 80] : [112, 112];
  const disc = `<svg width="${width}" height="${height}"><rect width="100%" height="100%" fill="hsl(${i * 47},60%,85%)"/><circle cx="${30 + (i % 5) * 12}" cy="45" r="${14 + (i % 4) * 5}" fill="hsl(${i * 83},70%,45%)"/></svg>`;
  const bytes = Buffer.from(Array.from({ length: width * height * 3 }, (_, k) => noiseOf(k + i * 50_000)));
  const input = noise ? sharp(bytes, { raw: { width, height, channels: 3 } }) : sharp(Buffer.from(disc));
  return { width, height, webp: (await input.webp({ quality: 72 }).toBuffer()).toString('base64') };
}

const map = async (i: number, channels: 1 | 3) => {
  const data = Uint8Array.from({ length: 16 * channels }, (_, k) => (k * 37 * (i + 1)) % 256);
  return (
    await sharp(data, { raw: { width: 4, height: 4, channels } })
      .png()
      .toBuffer()
  ).toString('base64');
};

/** A sheet of as many pictures, right about those whose number is no multiple of `wrong`. */
export async function madeSheet(
  name: string,
  wrong: number,
  { count = 24, say = (text: string) => text, noise = false } = {},
): Promise<Sheet> {
  const numbers = Array.from({ length: count }, (_, i) => i);
  const pictures = await Promise.all(numbers.map(async (i) => [idOf(i), await picture(i, noise)] as const));
  const text = (i: number) => say(`a disc of the number ${i % count} on a ground`);
  const nearest = (i: number) => [0, 1, 2, 3, 4].map((k) => (i + k + (i % wrong === 0 ? 1 : 0)) % count);
  return {
    version: 1,
    model: { name, sha256: 'f'.repeat(64) },
    looked: { pictures: count, of: 1594, language: 'en', view: 'px-32' },
    pictures: Object.fromEntries(pictures),
    textToImage: numbers
      .slice(0, 8)
      .map((i) => ({ text: text(i), nearest: nearest(i).map((k) => ({ id: idOf(k), right: k === i })) })),
    imageToText: numbers
      .slice(0, 8)
      .map((i) => ({ id: idOf(i), nearest: nearest(i).map((k) => ({ text: text(k), right: k === i })) })),
    confusions: numbers
      .slice(0, 4)
      .map((i) => ({ truth: text(i), taken: text(i + 1), times: 4 - i, ids: [idOf(i), idOf(i + 4)] })),
    maps: await Promise.all(
      numbers.slice(0, 6).map(async (i) => ({ id: idOf(i), patches: await map(i, 3), attention: await map(i, 1) })),
    ),
    masks: await Promise.all(
      numbers
        .slice(0, 2)
        .map(async (i) => ({ id: idOf(i), png: await map(i + 9, 3), texts: [0, 1, 2].map((k) => text(i + k)) })),
    ),
    boxes: numbers.slice(0, 2).map((i) => ({
      id: idOf(i),
      boxes: [
        { text: text(i), box: [0.1, 0.2, 0.7, 0.6] },
        { text: say('the ground'), box: [0.5, 0, 1, 1] },
      ],
    })),
    found: [
      {
        ...{ id: idOf(0), by: 'referringProbe px-32' },
        boxes: [
          { text: text(0), truth: [0.1, 0.2, 0.7, 0.6], found: [0.15, 0.2, 0.75, 0.5] },
          { text: say('the ground'), truth: [0.5, 0, 1, 1], found: null },
        ],
      },
      {
        ...{ id: idOf(1), by: 'detection px-32' },
        boxes: [{ text: say('a disc, 0.91'), truth: null, found: [0.2, 0.2, 0.8, 0.7] }],
      },
    ],
    outcomes: numbers.map((i) => {
      const right = i % wrong !== 0;
      return { id: idOf(i), truth: text(i), taken: text(right ? i : i + 1), right };
    }),
  };
}

export async function madeCurated(phase: string, say = (text: string) => text): Promise<CuratedSheet> {
  const half = (sign: number) =>
    Promise.all(
      [0, 1, 2, 3].map(async (i) => ({
        text: say(`example ${i}`),
        score: sign * (3 - i / 2),
        chosen: sign > 0,
        picture: await picture(40 + i),
      })),
    );
  return { phase, step: 600, most: await half(1), least: await half(-1) };
}
