import { beforeAll, expect, test } from 'vitest';
import { makeEmojiStrips } from '../../infra/emoji/strips.ts';
import { readExamples } from '../../src/data/example/read-examples.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { MemoryStore } from './memory-store.ts';

const store = new MemoryStore();
const lines: string[] = [];
const make = () => makeEmojiStrips(store, { strips: 8, heldOut: 30, concepts: 16, log: (line) => lines.push(line) });
let made: Awaited<ReturnType<typeof make>>;
beforeAll(async () => {
  made = await make();
});

async function pictures(prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { image } of readExamples(store, await indexData(store, prefix)))
    found.push(Buffer.from(image.data).toString('base64'));
  return found;
}

test('strips are as long as they have emoji, one in each part of them', async () => {
  const shapes = new Set<string>();
  const index = await indexData(store, made.heldOut);
  expect(index).toMatchObject({ examples: 30, corrupt: [] });
  for await (const { image, meta } of readExamples(store, index)) {
    const { width, height, data } = image;
    const texts = meta.captions.en![0]!.split(', ');
    shapes.add(`${width}x${height}`);
    expect([Math.min(width, height), Math.max(width, height)]).toEqual([64, 64 * texts.length]);
    expect(new Set(texts).size).toBe(texts.length);
    const ink = texts.map(() => 0);
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        for (let c = 0; c < 3; c++)
          ink[Math.floor((width > height ? x : y) / 64)]! += 255 - data[(y * width + x) * 3 + c]!;
    for (const own of ink) expect(own / (64 * 64 * 3)).toBeGreaterThan(5);
  }
  expect([...shapes].sort()).toEqual(['256x64', '320x64', '64x256', '64x320']);
});

test('what is trained on and what is held out is drawn by other hands, and made once', async () => {
  expect(lines).toEqual([
    'data/emoji-strips/train: composing 8 strips',
    'data/emoji-strips/held-out: composing 30 strips',
  ]);
  lines.length = 0;
  expect(await make()).toEqual(made);
  expect(lines).toEqual(['data/emoji-strips: already in the bucket']);
  const [trained, heldOut] = [await pictures(made.train), await pictures(made.heldOut)];
  expect([trained.length, heldOut.length]).toEqual([8, 30]);
  for (const one of heldOut) expect(trained).not.toContain(one);
  expect(store.objects.get('data/emoji-strips/LICENSES.md')!.toString()).toContain('CC BY-SA 4.0');
});
