import sharp from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import { makeComposedSets } from '../../infra/emoji/composed-sets.ts';
import { groups, readConcepts } from '../../infra/emoji/concepts.ts';
import { readPixelTruth } from '../../src/data/example/pixel-truth.ts';
import { readExamples } from '../../src/data/example/read-examples.ts';
import { readSelected } from '../../src/data/example/read-selected.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { MemoryStore } from './memory-store.ts';

const store = new MemoryStore();
const lines: string[] = [];
const make = () => makeComposedSets(store, { train: 8, heldOut: 30, concepts: 16, log: (line) => lines.push(line) });
let made: Awaited<ReturnType<typeof make>>;
beforeAll(async () => {
  made = await make();
});

test('strips are as long as they have emoji, each in its part and in the box that its region says', async () => {
  const { strips, scenes } = made;
  expect([strips.train, strips.heldOut, scenes.train, scenes.heldOut]).toEqual([
    'data/emoji-strips/train',
    'data/emoji-strips/held-out',
    'data/emoji-scenes/train',
    'data/emoji-scenes/held-out',
  ]);
  const shapes = new Set<string>();
  const index = await indexData(store, strips.heldOut);
  expect(index).toMatchObject({ examples: 30, corrupt: [] });
  for await (const { image, meta } of readExamples(store, index)) {
    const regions = meta.regions!;
    shapes.add(`${image.width}x${image.height}`);
    expect(Math.max(image.width, image.height)).toBe(64 * regions.length);
    expect(Math.min(image.width, image.height)).toBe(64);
    expect(meta.captions).toEqual({ en: [regions.map(({ caption }) => caption).join(', ')] });
    expect(new Set(regions.map(({ caption }) => caption)).size).toBe(regions.length);
    const outside = image.data.slice();
    for (const [i, { box }] of regions.entries()) {
      const at = (side: number, of: number) => Math.round(box[side]! * of);
      const [top, left, bottom, right] = [
        at(0, image.height),
        at(1, image.width),
        at(2, image.height),
        at(3, image.width),
      ];
      const long = image.width > image.height ? [left, right] : [top, bottom];
      expect(long[0]).toBeGreaterThanOrEqual(64 * i);
      expect(long[1]).toBeLessThanOrEqual(64 * (i + 1));
      let ink = 0;
      for (let y = top!; y < bottom!; y++)
        for (let x = left!; x < right!; x++)
          for (let c = 0; c < 3; c++) {
            const byte = (y * image.width + x) * 3 + c;
            ink += 255 - outside[byte]!;
            outside[byte] = 255;
          }
      expect(ink / ((bottom! - top!) * (right! - left!))).toBeGreaterThan(15);
    }
    expect(outside.every((value) => value === 255)).toBe(true);
  }
  expect([...shapes].sort()).toEqual(['128x64', '192x64', '256x64', '64x128', '64x192', '64x256']);
});

test('the mask of a scene has the group of each emoji in its box and paper elsewhere, as the picture has', async () => {
  const { scenes } = made;
  const all = readConcepts();
  const index = await indexData(store, scenes.heldOut, undefined, { pixels: ['mask'] });
  const seen = new Set<number>();
  let count = 0;
  for await (const { meta, picture, pixels } of readSelected(store, index, Array(30).keys(), () => {})) {
    const { width, height, values } = (await readPixelTruth('mask', pixels.mask!, { width: 128, height: 128 })) as {
      width: number;
      height: number;
      values: Uint8Array;
    };
    expect([width, height]).toEqual([128, 128]);
    const drawn = await sharp(picture).removeAlpha().greyscale().raw().toBuffer();
    const outside = values.slice();
    for (const { caption, box } of meta.regions!) {
      const { group } = all.find(({ captions }) => captions.en![0] === caption)!;
      seen.add(group);
      const [top, left, bottom, right] = box.map((share) => share * 128) as [number, number, number, number];
      let own = 0;
      for (let y = top; y < bottom; y++)
        for (let x = left; x < right; x++) {
          const at = y * 128 + x;
          if (outside[at] === 1 + group) own++;
          outside[at] = 0;
          // Half clear on paper is grey, so what is darker is drawn.
          if (drawn[at]! < 120) expect(values[at]).toBe(1 + group);
        }
      expect(own / ((bottom - top) * (right - left))).toBeGreaterThan(0.2);
    }
    expect(outside.every((value) => value === 0)).toBe(true);
    count++;
  }
  expect(count).toBe(30);
  expect(seen.size).toBeGreaterThan(3);
  expect(Math.max(...all.map(({ group }) => group))).toBe(groups.length - 1);
  const groupOf = (label: string) => groups[all.find(({ captions }) => captions.en![0] === label)!.group];
  expect(['grinning face', 'dog face', 'red apple', 'locomotive'].map(groupOf)).toEqual([
    'face or emotion',
    'animal or plant',
    'food or drink',
    'place or vehicle',
  ]);
});

test('what is trained on and what is held out is drawn by other hands, and made once', async () => {
  expect(lines).toEqual(['data/emoji-scenes: composing 38 pictures', 'data/emoji-strips: composing 38 pictures']);
  lines.length = 0;
  expect(await make()).toEqual(made);
  expect(lines).toEqual(['data/emoji-scenes: already in the bucket', 'data/emoji-strips: already in the bucket']);
  const pixels = async (prefix: string) => {
    const found: string[] = [];
    for await (const { image } of readExamples(store, await indexData(store, prefix)))
      found.push(Buffer.from(image.data).toString('base64'));
    return found;
  };
  const [trained, heldOut] = [await pixels(made.strips.train), await pixels(made.strips.heldOut)];
  expect([trained.length, heldOut.length]).toEqual([8, 30]);
  for (const one of heldOut) expect(trained).not.toContain(one);
  expect(store.objects.get('data/emoji-strips/LICENSES.md')!.toString()).toContain('CC BY-SA 4.0');
});
