import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeEmojiDataset } from '../../infra/emoji/make.ts';
import { curatedStyles, makeNoisyEmojiDatasets } from '../../infra/emoji/noisy.ts';
import { readExamples } from '../../src/data/example/read-examples.ts';
import type { ExampleMeta } from '../../src/data/example/types.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { MemoryStore } from './memory-store.ts';

const shardHashes = (store: MemoryStore) =>
  [...store.objects]
    .filter(([key]) => key.endsWith('.tar'))
    .map(([key, body]) => `${key} ${createHash('sha256').update(body).digest('hex')}`);

/** Every example below a prefix, its pixels as a hash. */
async function examplesBelow(store: MemoryStore, prefix: string) {
  const found: { meta: ExampleMeta; pixels: string; colours: number }[] = [];
  for await (const { image, meta } of readExamples(store, await indexData(store, prefix))) {
    const { data } = image;
    const colours = new Set<number>();
    for (let i = 0; i < data.length; i += 3) colours.add((data[i]! << 16) | (data[i + 1]! << 8) | data[i + 2]!);
    found.push({ meta, pixels: createHash('sha256').update(data).digest('hex'), colours: colours.size });
  }
  return found;
}

test('the noisy set holds every clean example and its share of noise, evenly of three kinds', async () => {
  const store = new MemoryStore();
  const { noisy } = await makeNoisyEmojiDatasets(store, { noise: 0.4, concepts: 64 });
  // 320 clean ones are 60 % of 533.
  expect(noisy).toMatchObject({ examples: 533, noise: { caption: 71, duplicate: 71, blank: 71 } });
  const found = await examplesBelow(store, noisy.train);
  expect(found).toHaveLength(533);
  const { train } = await makeEmojiDataset(store, { concepts: 64 });
  const clean = await examplesBelow(store, train);
  const byKey = (all: typeof found) => new Map(all.map((example) => [example.meta.key, example]));
  const kept = found.filter(({ meta }) => meta.source === undefined);
  expect(byKey(kept)).toEqual(byKey(clean));

  // A picture, with who drew it, is one clean example.
  const sourceOf = (pixels: string, meta: ExampleMeta) =>
    clean.find((other) => other.pixels === pixels && other.meta.concept === meta.concept)!;
  const labels = new Map(clean.map(({ meta }) => [JSON.stringify(meta.captions), meta.concept]));
  const counts: Record<string, number> = {};
  for (const { meta, pixels, colours } of found) {
    if (meta.source === undefined) continue;
    counts[meta.source] = (counts[meta.source] ?? 0) + 1;
    expect(meta.key.startsWith(`${meta.source}-`)).toBe(true);
    if (meta.source === 'noise-blank') {
      expect(colours).toBe(1);
      expect(labels.has(JSON.stringify(meta.captions))).toBe(true);
      continue;
    }
    const source = sourceOf(pixels, meta);
    expect(source.meta.style).toBe(meta.style);
    if (meta.source === 'noise-duplicate') expect(meta.captions).toEqual(source.meta.captions);
    else {
      const said = labels.get(JSON.stringify(meta.captions));
      expect(said).toBeDefined();
      expect(said).not.toBe(meta.concept);
    }
  }
  expect(counts).toEqual({ 'noise-caption': 71, 'noise-duplicate': 71, 'noise-blank': 71 });
  // Noise is mixed in, and its colours are many.
  const first = found.slice(0, 200).filter(({ meta }) => meta.source !== undefined).length;
  expect(first).toBeGreaterThan(50);
  expect(first).toBeLessThan(110);
  const blanks = found.filter(({ meta }) => meta.source === 'noise-blank');
  expect(new Set(blanks.map(({ pixels }) => pixels)).size).toBe(71);
});

test('the curated set holds the clean examples of two styles that are trained on', async () => {
  const store = new MemoryStore();
  const { curated } = await makeNoisyEmojiDatasets(store, { noise: 0.4, concepts: 64 });
  const found = await examplesBelow(store, curated.train);
  expect(found).toHaveLength(curated.examples);
  expect(curated.examples).toBe(128);
  expect(new Set(found.map(({ meta }) => meta.style))).toEqual(new Set(['noto', 'twemoji']));
  expect(curatedStyles).toHaveLength(2);
  expect(found.filter(({ meta }) => meta.source !== undefined)).toEqual([]);
});

test('two runs make the same bytes, which are the ones on record; what is there is not made again', async () => {
  const stores = [new MemoryStore(), new MemoryStore()] as const;
  for (const store of stores) await makeNoisyEmojiDatasets(store, { noise: 0.4, concepts: 32 });
  expect(shardHashes(stores[0])).toEqual(shardHashes(stores[1]));
  expect(shardHashes(stores[0])).toEqual([
    'data/emoji-noisy/train/train-00000.tar e8dde3a1954de86f63c497b54683e2eaf90c64633404307d03ee148aa31bfc97',
    'data/emoji-curated/train/train-00000.tar 686aa65606c68633087615f3bf854517197558ca50b450f803543a1fe1b15dcf',
  ]);
  const lines: string[] = [];
  const again = (noise: number) =>
    makeNoisyEmojiDatasets(stores[0], { noise, concepts: 32, log: (line) => lines.push(line) });
  const { noisy } = await again(0.4);
  expect(lines).toEqual([
    'data/emoji-noisy/train: already in the bucket',
    'data/emoji-curated/train: already in the bucket',
  ]);
  lines.length = 0;
  const more = await again(0.5);
  expect(more.noisy.inputs).not.toBe(noisy.inputs);
  expect(more.noisy.noise).toEqual({ caption: 54, duplicate: 53, blank: 53 });
  expect(lines.at(-1)).toBe('data/emoji-curated/train: already in the bucket');
  expect(stores[0].objects.get('data/emoji-noisy/LICENSES.md')!.toString()).toContain('CC BY-SA 4.0');
});

test.each([0, -0.1, 0.76, Number.NaN])('a share of noise of %s is refused', async (noise) => {
  await expect(makeNoisyEmojiDatasets(new MemoryStore(), { noise })).rejects.toThrow('allowed: above 0, up to 0.75');
});
