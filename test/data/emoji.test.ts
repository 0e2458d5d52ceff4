import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeAskedEmojiDataset } from '../../infra/emoji/asked.ts';
import { bareHexcode, languages, readConcepts } from '../../infra/emoji/concepts.ts';
import { readIconNames, readStyle } from '../../infra/emoji/icons.ts';
import { makeEmojiDataset } from '../../infra/emoji/make.ts';
import { makeMaskedScenes } from '../../infra/emoji/masks.ts';
import { heldOutStyle, trainStyles } from '../../infra/emoji/styles.ts';
import { decodeImage } from '../../src/data/example/decode.ts';
import { readPixelTruth } from '../../src/data/example/pixel-truth.ts';
import { readExamples } from '../../src/data/example/read-examples.ts';
import { readSelected } from '../../src/data/example/read-selected.ts';
import { parseTruth } from '../../src/data/example/truth.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { MemoryStore } from './memory-store.ts';

const shardHashes = (store: MemoryStore) =>
  [...store.objects]
    .filter(([key]) => key.endsWith('.tar'))
    .map(([key, body]) => `${key} ${createHash('sha256').update(body).digest('hex')}`);

test('every style draws more than a thousand concepts, and each held-out concept is in a style that trains', () => {
  const concepts = readConcepts();
  const names = readIconNames(concepts);
  const drawn = (style: typeof heldOutStyle) => readStyle(style, concepts, names);
  const train = trainStyles.map(drawn);
  expect(concepts).toHaveLength(1914);
  expect(train.map(({ size }) => size)).toEqual([1652, 1234, 1914, 1914, 1371]);
  const heldOut = drawn(heldOutStyle);
  expect(heldOut.size).toBe(1594);
  for (const hexcode of heldOut.keys()) expect(train.filter((style) => style.has(hexcode)).length).toBeGreaterThan(1);
  // Country flags are the same picture in every style.
  const flags = concepts.filter(({ captions }) => captions.en![0]!.startsWith('flag: '));
  expect(flags).toHaveLength(262);
  expect(flags.filter(({ hexcode }) => heldOut.has(bareHexcode(hexcode)))).toEqual([]);
});

test('every concept has a label in each of eleven languages, and no English label is used twice', () => {
  const concepts = readConcepts();
  for (const { hexcode, captions } of concepts) {
    expect(Object.keys(captions).sort(), hexcode).toEqual([...languages].sort());
    for (const texts of Object.values(captions)) expect(texts[0]!.trim()).not.toBe('');
  }
  expect(new Set(concepts.map(({ captions }) => captions.en![0])).size).toBe(concepts.length);
});

test('names of the older sets lead to the emoji that they show', () => {
  const names = readIconNames(readConcepts());
  expect(names.get('bear-face')).toBe('1F43B');
  expect(names.get('flag-for-chad')).toBe('1F1F9-1F1E9');
  expect(names.get('flag-for-flag-japan')).toBe('1F1EF-1F1F5');
  expect(names.get('grinning-face')).toBe('1F600');
});

test('two runs make the same bytes, which are the ones on record for these packages', async () => {
  const stores = [new MemoryStore(), new MemoryStore()] as const;
  for (const store of stores) await makeEmojiDataset(store, { concepts: 64 });
  expect(shardHashes(stores[0])).toEqual(shardHashes(stores[1]));
  expect(shardHashes(stores[0])).toEqual([
    'data/emoji/train/train-00000.tar 5e8e9bc0de5b24767c6cfe7b5118d481fe95ab8e5ceb3c36b91a12eebbccc7fc',
    'data/emoji/held-out/held-out-00000.tar 2756551836e8c2ff7eacf95dba61d21339b8596853cc6cc788c6fd8c3456d46a',
  ]);
  const { train, heldOut } = await makeEmojiDataset(stores[0], { concepts: 64 });
  const indexes = [await indexData(stores[0], train), await indexData(stores[0], heldOut)] as const;
  expect(indexes.map(({ examples, corrupt }) => [examples, corrupt.length])).toEqual([
    [320, 0],
    [64, 0],
  ]);
  const seen = new Set<string>();
  let ink = 0;
  for await (const { image, meta } of readExamples(stores[0], indexes[1])) {
    expect(meta.style).toBe('fluent-emoji-flat');
    seen.add(meta.concept);
    const pixels = image.data;
    // A corner is paper, and something is drawn.
    expect(new Set(pixels).size).toBeGreaterThan(3);
    ink += pixels.reduce((sum, value) => sum + 255 - value, 0) / pixels.length / 64;
  }
  expect(seen.size).toBe(64);
  expect(ink).toBeGreaterThan(20);
  for await (const { meta } of readExamples(stores[0], indexes[0])) {
    expect(meta.style).not.toBe('fluent-emoji-flat');
    expect(seen).toContain(meta.concept);
  }
});

test('what is in the bucket is not made again, what is missing is, and older shards go', async () => {
  const store = new MemoryStore();
  const lines: string[] = [];
  const make = (concepts: number) => makeEmojiDataset(store, { concepts, log: (line) => lines.push(line) });
  const first = await make(120);
  expect(first.shards.map(({ key }) => key)).toEqual([
    'data/emoji/train/train-00000.tar',
    'data/emoji/train/train-00001.tar',
    'data/emoji/held-out/held-out-00000.tar',
  ]);
  lines.length = 0;
  expect(await make(120)).toEqual(first);
  expect(lines).toEqual(['emoji data set: already in the bucket (720 pictures)']);
  await store.delete('data/emoji/held-out/held-out-00000.tar');
  expect(await make(120)).toEqual(first);
  expect(shardHashes(store)).toHaveLength(3);
  await make(16);
  expect(shardHashes(store)).toHaveLength(2);
  const notices = store.objects.get('data/emoji/LICENSES.md')!.toString();
  for (const term of ['Apache 2.0', 'CC BY 4.0', 'CC BY-SA 4.0', 'MIT']) expect(notices).toContain(term);
});

test('scenes hold two to four emoji, none over another, each in the box that its region says', async () => {
  const store = new MemoryStore();
  const made = await makeEmojiDataset(store, { prefix: 'data/with-scenes', concepts: 16, scenes: 40 });
  const index = await indexData(store, made.scenes);
  expect(index).toMatchObject({ examples: 40, corrupt: [] });
  const counts = new Set<number>();
  for await (const { image, meta } of readExamples(store, index)) {
    const regions = meta.regions!;
    counts.add(regions.length);
    expect(meta.captions.en).toEqual([regions.map(({ caption }) => caption).join(', ')]);
    const outside = image.data.slice();
    for (const { box } of regions) {
      const [top, left, bottom, right] = box.map((share) => share * 128) as [number, number, number, number];
      let ink = 0;
      for (let y = top; y < bottom; y++)
        for (let x = left; x < right; x++)
          for (let c = 0; c < 3; c++) {
            const at = (y * 128 + x) * 3 + c;
            // Boxes that overlapped would find the other's ink taken.
            ink += 255 - outside[at]!;
            outside[at] = 255;
          }
      expect(ink / ((bottom - top) * (right - left))).toBeGreaterThan(15);
    }
    // All that is drawn lies in the boxes.
    expect(outside.every((value) => value === 255)).toBe(true);
  }
  expect([...counts].sort()).toEqual([2, 3, 4]);
});

test('scenes with questions are others than those of training, and every answer is what the boxes say', async () => {
  const store = new MemoryStore();
  const made = await makeAskedEmojiDataset(store, { concepts: 16, scenes: 24 });
  expect(made.examples).toEqual({ train: 24, heldOut: 6 });
  const index = await indexData(store, made.train);
  const names = new Set<string>();
  for await (const { picture, said } of readSelected(store, index, index24, () => {})) {
    names.add(createHash('sha256').update(picture).digest('hex'));
    const { regions, questions } = parseTruth(said);
    const [count, ...others] = questions!;
    expect(count).toEqual({
      question: 'how many things are there?',
      answers: [['two', 'three', 'four'][regions!.length - 2]],
    });
    for (const { question, answers } of others) {
      const [, side, of] = /^what is (left of|right of|above|below) the (.+)\?$/.exec(question)!;
      const [top, left, bottom, right] = regions!.find(({ caption }) => caption === of)!.box;
      const there = regions!.filter(({ caption, box }) => {
        if (caption === of) return false;
        if (side === 'left of') return box[3] <= left;
        if (side === 'right of') return box[1] >= right;
        return side === 'above' ? box[2] <= top : box[0] >= bottom;
      });
      expect(there.map(({ caption }) => caption)).toEqual(answers);
    }
  }
  expect(names.size).toBe(24);
  const trained = await makeEmojiDataset(store, { prefix: 'data/trained', concepts: 16, scenes: 24 });
  const seen = await indexData(store, trained.scenes);
  for await (const { picture } of readSelected(store, seen, index24, () => {}))
    expect(names).not.toContain(createHash('sha256').update(picture).digest('hex'));
});

const index24 = Array.from({ length: 24 }, (_, i) => i);
test('scenes with masks have the class of each figure where it is drawn, in names that are beside them', async () => {
  const store = new MemoryStore();
  const made = await makeMaskedScenes(store, { concepts: 16, scenes: 12 });
  expect(shardHashes(store)).toEqual([
    'data/emoji-masks/train/scenes-00000.tar 70fdc475f2371c667b5ce9f2c344ec61b3909dc96b1216914c3cb18a1ddac755',
    'data/emoji-masks/held-out/scenes-00000.tar 0bf77fd083dc4dc3464cb36d88c8ea45eafae9e57c398cd6fc41d2c178f99b41',
  ]);
  const classes = store.objects.get(made.classnames)!.toString().trim().split('\n');
  expect([classes.length, classes[0]]).toEqual([17, 'background']);
  const index = await indexData(store, made.train, undefined, { pixels: ['mask'] });
  for await (const { meta, picture, pixels } of readSelected(
    store,
    index,
    Array.from({ length: 12 }, (_, i) => i),
    () => {},
  )) {
    const image = await decodeImage(picture);
    const truth = await readPixelTruth('mask', pixels.mask!, image);
    if ('fault' in truth) throw new Error(truth.fault);
    const regions = meta.regions!.map(({ caption, box }) => ({ of: classes.indexOf(caption), box }));
    for (const [i, is] of truth.values.entries()) {
      const [y, x] = [Math.floor(i / 128) / 128, (i % 128) / 128];
      const within = regions.find(
        ({ box: [top, left, bottom, right] }) => y >= top && y < bottom && x >= left && x < right,
      );
      // Paper is white, and what is a figure lies in the box of that figure.
      if (is === 0) expect(image.data[3 * i]).toBeGreaterThan(225);
      else expect([within?.of, 255]).toContain(is);
    }
    for (const { of } of regions) expect(truth.values).toContain(of);
  }
});
