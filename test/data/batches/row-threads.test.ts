import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BatchOptions, openBatches } from '../../../src/data/batches/batches.ts';
import { makerOf } from '../../../src/data/batches/loader-maker.ts';
import { textsInThread } from '../../../src/data/batches/texts.ts';
import type { Batch, Piece } from '../../../src/data/batches/types.ts';
import { countSpoken } from '../../../src/data/example/spoken-lists.ts';
import { indexData } from '../../../src/data/index/index-data.ts';
import { mixedIndex } from '../../../src/data/index/mixed-index.ts';
import type { DataIndex } from '../../../src/data/index/types.ts';
import type { BatchPlan } from '../../../src/recipe/batch-plan.ts';
import { loaderThreads } from '../../../src/runtime/loader-threads.ts';
import type { S3ObjectStore } from '../../../src/storage/s3.ts';
import { startServer, type TestServer } from '../../storage/versitygw.ts';
import { drawnEmoji } from '../../support/drawn-emoji.ts';
import { taken } from './whole.ts';

// 40 concepts in five styles on a real S3 server; 5 pictures are no pictures any more, and 3 texts no texts.
let server: TestServer;
let store: S3ObjectStore;
let index: DataIndex;
let scratch: string;
let env: NodeJS.ProcessEnv;
const captions = [
  { language: 'en', weight: 2 },
  { language: 'de', weight: 1 },
];
const plan: BatchPlan = {
  ...{ seed: 5, phase: 'pretrain', batch: 48, resolution: 32, textLength: 16, vocabulary: null },
  data: { train: 'data/emoji/train', captions, labelShare: 0.5, augment: { scale: [0.8, 1.2], shift: 0.1 } },
  parts: {
    globalView: {},
    localViews: { views: 2, resolution: 16 },
    maskedPatches: { patches: 4, count: 2 },
  },
};

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  scratch = await mkdtemp(join(tmpdir(), 'siglip2-threads-'));
  env = { ...process.env, ...server.environment, SIGLIP2_SCRATCH: scratch };
  await drawnEmoji(store, { concepts: 40 });
  const { key } = (await indexData(store, plan.data.train as string)).shards[0]!;
  const body = await store.get(key);
  const entries = await (await indexData(store, plan.data.train as string)).entriesOf(0);
  for (let i = 0; i < 8; i++) {
    const { image, meta } = entries.at(i);
    const { offset, size } = i < 5 ? { offset: image.offset + 60, size: image.size - 90 } : meta;
    body.fill(0x55, offset, offset + size);
  }
  await store.put(key, body);
  index = await indexData(store, plan.data.train as string);
});
afterAll(async () => {
  await server.stop();
  await rm(scratch, { recursive: true, force: true });
});

const read = (count: number, options: Partial<BatchOptions>) =>
  taken(count, { index: index.document, plan, firstBatch: 0, env, ...options });

/** Of every byte and every count. */
function hashOf({ images, tokens, parts, ...facts }: Batch): string {
  const hash = createHash('sha256');
  for (const [name, { buffer, byteOffset, byteLength }] of Object.entries({ images, tokens, ...parts }))
    hash.update(name).update(Buffer.from(buffer, byteOffset, byteLength));
  return hash.update(JSON.stringify(facts)).digest('hex');
}

describe('rows that threads make', () => {
  it('are those of one thread by hash, in one go and over 10 kills, over the ends of epochs, with what was skipped', async () => {
    const batches = 11;
    expect(batches * plan.batch).toBeGreaterThan(2.5 * index.examples);
    const inOne = await read(batches, { threads: 1 });
    expect(inOne.reduce((sum, { skipped }) => sum + skipped.length, 0)).toBeGreaterThanOrEqual(16);
    const expected = inOne.map(hashOf);
    expect((await read(batches, { threads: 4 })).map(hashOf)).toEqual(expected);
    // Each maker and its threads are ended in the middle of what they make ahead.
    const killed: Batch[] = [];
    for (let k = 0; k < batches; k++) {
      const threads = [1, 2, 1, 1, 4, 1, 1, 2, 1, 1, 1][k]!;
      const settings = { index: index.document, plan, scores: null, firstBatch: k, skip: [], bytes: 1, threads, env };
      const { maker, close } = makerOf(settings, () => {}, { threads, texts: null });
      const pieces = maker.allPieces([k, k + 1]);
      const { first, count, of, ...batch } = (await pieces.next()).value as Piece;
      expect([first, count, of]).toEqual([0, 48, 48]);
      killed.push(batch);
      await close();
    }
    expect(killed.map(hashOf)).toEqual(expected);
  });

  it('are the same when threads die over them, and a loader that dies itself is a failure to be tried again, at once', async () => {
    const expected = (await read(3, { threads: 1 })).map(hashOf);
    const born: Worker[] = [];
    const note = (worker: Worker) => void born.push(worker);
    process.on('worker', note);
    try {
      const settings = {
        index: index.document,
        plan,
        scores: null,
        firstBatch: 0,
        skip: [],
        bytes: 1e9,
        threads: 2,
        env,
      };
      const notes: string[] = [];
      const told = (text: string) => notes.push(text);
      const texts = textsInThread(plan, told);
      const { maker, close } = makerOf(settings, told, { threads: 2, texts });
      // That of texts was first. One of rows ends, then it, each while it has something to do.
      const made: Batch[] = [];
      for await (const { first, count, of, ...batch } of maker.allPieces([0, 1, 2])) {
        made.push(batch);
        const victim = { 1: born[1], 2: born[0] }[made.length];
        await victim?.terminate();
      }
      await close();
      expect(made.map(hashOf)).toEqual(expected);
      expect(notes).toEqual([
        'a thread of the data loader ended with code 1; another takes its place',
        'the thread of texts of the data loader ended with code 1; another takes its place',
      ]);
      born.length = 0;
      const source = openBatches({ index: index.document, plan, firstBatch: 0, env, threads: 2 });
      await source.next();
      const began = performance.now();
      await born[0]!.terminate();
      const lost = async () => {
        for (;;) await source.next();
      };
      await expect(lost()).rejects.toMatchObject({
        code: 'TrainerCrashed',
        message: 'the data loader ended with code 1',
      });
      // Of a busy machine: it takes a hundredth of that.
      expect(performance.now() - began).toBeLessThan(30_000);
      await source.close();
    } finally {
      process.off('worker', note);
    }
  });

  it.each<[string, Partial<BatchPlan>]>([
    ['pictures of any shape', { naflex: { lengths: [9, 16], halveFrom: 16, patch: 8 } }],
    ['super-batches of a phase with curation', { candidates: 96, parts: { teacherView: { resolution: 16 } } }],
  ])('are the same for %s of a mixture, with 1, 2 and 4 threads and after every kill', async (_, change) => {
    const named = captions.map(({ language }) => language);
    const spoken = await countSpoken(store, index, named);
    const mixed = mixedIndex([
      { name: 'by language', index, spoken },
      { name: 'by label', index },
      { name: 'again', index },
    ]);
    const mixture = [
      { name: 'by language', train: 'data/emoji/train', weight: 5, languages: captions },
      { name: 'by label', train: 'data/emoji/train', weight: 3, labelShare: 1 },
      { name: 'again', train: 'data/emoji/train', weight: 2 },
    ];
    const of: BatchPlan = { ...plan, ...change, data: { ...plan.data, train: [], mixture } };
    const batches = 4;
    const make = async (threads: number, from: number, count: number) => {
      const settings = { index: mixed.document, plan: of, scores: null, firstBatch: from, skip: [], bytes: 2 ** 26 };
      const { maker, close } = makerOf({ ...settings, threads, env }, () => {}, { threads, texts: null });
      const made: Batch[] = [];
      const numbers = Array.from({ length: count }, (_, i) => from + i);
      for await (const { first, count, of, ...batch } of maker.allPieces(numbers)) made.push(batch);
      await close();
      return made;
    };
    const inOne = await make(1, 0, batches);
    const expected = inOne.map(hashOf);
    expect(new Set(expected).size).toBe(batches);
    const rows = inOne.reduce((sum, { tokens }) => sum + tokens.length / plan.textLength, 0);
    for (const { drawn, described } of inOne) expect(drawn !== undefined || described !== undefined).toBe(true);
    expect(rows).toBeGreaterThanOrEqual(batches * 24);
    const again = [...(await make(4, 0, 2)), ...(await make(2, 2, 1)), ...(await make(1, 3, 1))];
    expect(again.map(hashOf)).toEqual(expected);
  });

  it('tell that all are alike as one thread does, though none of them sees all', async () => {
    // With room for one token all texts are their end; the decoder's targets are made in the threads.
    const parts = { captionTargets: { parallel: 0.5, lossOn: 'both' } } as const;
    const [batch] = await read(1, { plan: { ...plan, textLength: 1, parts }, threads: 2 });
    expect(batch!.alike).toEqual({ pictures: false, texts: true });
  });

  it('that the recipe does not allow end the loader at the same example with the same sentence', async () => {
    const strict: BatchPlan = { ...plan, data: { ...plan.data, maxBroken: 0.02 } };
    const sentences: string[] = [];
    for (const threads of [1, 2])
      await read(5, { plan: strict, threads }).catch((error: Error) => sentences.push(error.message));
    expect(sentences[0]).toMatch(
      /^data: \d of the \d+ examples of data\/emoji\/train\/\S+ can't be used, the last because: /,
    );
    expect(sentences).toEqual([sentences[0], sentences[0]]);
  });

  it('of a thread that can not go on end the loader in one sentence', async () => {
    const parts = { localViews: { views: 2, resolution: -1 } };
    await expect(read(1, { plan: { ...plan, parts }, threads: 2 })).rejects.toThrow(/Invalid|length|size/i);
  });
});

describe('the number of threads', () => {
  it('is that of the environment, else the cores less one; what is no number is refused in one sentence', () => {
    expect(loaderThreads({ SIGLIP2_LOADER_THREADS: '7' })).toBe(7);
    expect(loaderThreads({})).toBeGreaterThanOrEqual(1);
    for (const wrong of ['0', '2.5', 'many', '1000'])
      expect(() => loaderThreads({ SIGLIP2_LOADER_THREADS: wrong })).toThrow(
        `SIGLIP2_LOADER_THREADS is "${wrong}": set it to a whole number from 1 to 256, or leave it out`,
      );
  });
});
