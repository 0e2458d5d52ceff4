import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AlikeRows, AlikeSoFar, sameTokens } from '../../../src/data/batches/alike.ts';
import { BatchMaker } from '../../../src/data/batches/batch-maker.ts';
import type { ExampleMeta } from '../../../src/data/example/types.ts';
import { indexData } from '../../../src/data/index/index-data.ts';
import { ShardCache } from '../../../src/data/index/shard-cache.ts';
import type { BatchPlan } from '../../../src/recipe/batch-plan.ts';
import type { S3ObjectStore } from '../../../src/storage/s3.ts';
import { startServer, type TestServer } from '../../storage/versitygw.ts';
import { drawnEmoji, drawnNoisyEmoji } from '../../support/drawn-emoji.ts';
import { type Blank, copyWithBlanks } from '../blank-copies.ts';

let server: TestServer;
let store: S3ObjectStore;
let scratch: string;

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  scratch = await mkdtemp(join(tmpdir(), 'siglip2-alike-'));
  await drawnEmoji(store, { concepts: 24 });
  await drawnNoisyEmoji(store, { concepts: 24, noise: 0.75 });
});
afterAll(async () => {
  await server.stop();
  await rm(scratch, { recursive: true, force: true });
});

/** As in the demo: pictures are shown larger, smaller and moved, and captions in several languages and orders. */
const squares: BatchPlan = {
  ...{ seed: 1, phase: 'pretrain', batch: 16, resolution: 16, textLength: 8, vocabulary: null },
  data: {
    train: '',
    captions: [
      { language: 'en', weight: 1 },
      { language: 'de', weight: 1 },
    ],
    labelShare: 0.5,
    augment: { scale: [0.8, 1.2], shift: 0.1 },
  },
};
const anyShape: BatchPlan = { ...squares, naflex: { lengths: [9, 16], halveFrom: 64, patch: 4 } };

/** What batches of a data set are found to be, many of them; `bytes`: where they are made in pieces. */
async function found(prefix: string, plan: BatchPlan, count: number, bytes?: number) {
  const maker = new BatchMaker(await indexData(store, prefix), plan, new ShardCache(store, join(scratch, 'shards')));
  const all: unknown[] = [];
  for (let k = 0; k < count; k++) {
    if (bytes === undefined) all.push((await maker.make(k)).alike);
    else {
      let last: unknown;
      for await (const { alike } of maker.pieces(k, bytes)) last = alike;
      all.push(last);
    }
  }
  return all;
}

describe('batches of real pictures', () => {
  it.each([
    ['squares', squares],
    ['images of any shape', anyShape],
  ])('as %s are not alike, though most examples are copies, blank or wrongly named', async (_, plan) => {
    for (const prefix of ['data/emoji/train', 'data/emoji-noisy/train'])
      expect(await found(prefix, plan, 60)).toEqual(Array(60).fill(undefined));
  });

  it.each([
    ['squares', squares],
    ['images of any shape', anyShape],
  ])('as %s are alike where all have become blank, or have one caption', async (kind, plan) => {
    const index = await indexData(store, 'data/emoji/train');
    const all = async (picture: boolean, caption: boolean, but: Blank = { picture, caption }) => {
      const prefix = `data/${kind}/${picture}-${caption}-${but.picture}-${but.caption}`;
      await copyWithBlanks(store, index, prefix, ({ example }) => (example === 7 ? but : { picture, caption }));
      return found(prefix, plan, 7);
    };
    const both = { pictures: true, texts: true };
    expect(await all(true, true)).toEqual(Array(7).fill(both));
    const ofOneText = `data/${kind}/false-true-false-true`;
    expect(await all(true, false)).toEqual(Array(7).fill({ pictures: true, texts: false }));
    expect(await all(false, true)).toEqual(Array(7).fill({ pictures: false, texts: true }));
    // Pieces of a few rows tell the same, once the last of them is made.
    expect(await found(ofOneText, plan, 3, 5000)).toEqual(Array(3).fill({ pictures: false, texts: true }));
    // One example that is another is enough, in the one batch of an epoch that has it.
    const one = (await all(true, true, { picture: false, caption: false })).filter((alike) => alike === undefined);
    expect(one).toHaveLength(1);
  });
});

describe('examples', () => {
  const pixels = (width: number, ...data: number[]) => ({
    width,
    height: data.length / 3 / width,
    data: Uint8Array.from(data),
  });
  const meta = (captions: Record<string, string[]>): ExampleMeta => ({ key: '', concept: '', captions });
  const [red, green] = [
    [9, 0, 0],
    [0, 9, 0],
  ] as const;
  const of = (examples: [ReturnType<typeof pixels>, ExampleMeta][], tokens: number[][]) => {
    const alike = new AlikeSoFar();
    for (const [picture, captions] of examples) alike.add(picture, captions);
    return new AlikeRows().and({ ...alike.same(), tokens: sameTokens(Int32Array.from(tokens.flat()), tokens.length) });
  };
  const [a, b] = [meta({ en: ['a'] }), meta({ en: ['b'] })];

  it('are alike as pictures that are the same, or of the same one colour in any shape', () => {
    const tokens = [
      [1, 2],
      [1, 3],
    ];
    const two = (one: ReturnType<typeof pixels>, other: ReturnType<typeof pixels>) =>
      of(
        [
          [one, a],
          [other, b],
        ],
        tokens,
      );
    expect(two(pixels(2, ...red, ...green), pixels(2, ...red, ...green))).toEqual({ pictures: true, texts: false });
    expect(two(pixels(1, ...red), pixels(2, ...red, ...red))).toEqual({ pictures: true, texts: false });
    expect(two(pixels(1, ...red), pixels(2, ...red, ...green))).toBeNull();
    expect(two(pixels(1, ...red), pixels(1, ...green))).toBeNull();
    // The same bytes in another shape are another picture.
    expect(
      two(pixels(2, ...red, ...green, ...red, ...green), pixels(1, ...red, ...green, ...red, ...green)),
    ).toBeNull();
  });

  it('are alike as texts that have the same captions in any order of languages, or came to the same tokens', () => {
    const [first, second] = [pixels(1, ...red), pixels(1, ...green)];
    const captions = [meta({ en: ['a', 'x'], de: ['b'] }), meta({ de: ['b'], en: ['a', 'x'] })] as const;
    expect(
      of(
        [
          [first, captions[0]],
          [second, captions[1]],
        ],
        [
          [1, 2],
          [1, 3],
        ],
      ),
    ).toEqual({ pictures: false, texts: true });
    expect(
      of(
        [
          [first, a],
          [second, b],
        ],
        [
          [5, 1],
          [5, 1],
        ],
      ),
    ).toEqual({ pictures: false, texts: true });
    expect(
      of(
        [
          [first, a],
          [second, b],
        ],
        [
          [5, 1],
          [1, 5],
        ],
      ),
    ).toBeNull();
  });
});
