import { expect, test } from 'vitest';
import { makeComposedSets } from '../../infra/emoji/composed-sets.ts';
import { readExamples } from '../../src/data/example/read-examples.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { MemoryStore } from './memory-store.ts';

test('strips are as long as they have emoji, each in its part and in the box that its region says', async () => {
  const store = new MemoryStore();
  const { strips, scenes } = await makeComposedSets(store, { train: 20, heldOut: 30, concepts: 16 });
  expect([strips.train, strips.heldOut, scenes.train, scenes.heldOut]).toEqual([
    'data/emoji-strips/train',
    'data/emoji-strips/held-out',
    null,
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

test('what is trained on and what is held out is drawn by other hands, and made once', async () => {
  const store = new MemoryStore();
  const lines: string[] = [];
  const make = () => makeComposedSets(store, { train: 8, heldOut: 8, concepts: 16, log: (line) => lines.push(line) });
  const first = await make();
  expect(lines).toEqual(['data/emoji-scenes: composing 8 pictures', 'data/emoji-strips: composing 16 pictures']);
  lines.length = 0;
  expect(await make()).toEqual(first);
  expect(lines).toEqual(['data/emoji-scenes: already in the bucket', 'data/emoji-strips: already in the bucket']);
  const pixels = async (prefix: string) => {
    const found: string[] = [];
    for await (const { image } of readExamples(store, await indexData(store, prefix)))
      found.push(Buffer.from(image.data).toString('base64'));
    return found;
  };
  const [trained, heldOut] = [await pixels(first.strips.train!), await pixels(first.strips.heldOut)];
  expect([trained.length, heldOut.length]).toEqual([8, 8]);
  for (const one of heldOut) expect(trained).not.toContain(one);
  expect(store.objects.get('data/emoji-strips/LICENSES.md')!.toString()).toContain('CC BY-SA 4.0');
});
