import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeEmojiDataset } from '../../../infra/emoji/make.ts';
import { openBatches } from '../../../src/data/batches/batches.ts';
import type { Batch } from '../../../src/data/batches/types.ts';
import { indexData } from '../../../src/data/index/index-data.ts';
import type { DataIndex } from '../../../src/data/index/types.ts';
import type { BatchPlan } from '../../../src/recipe/batch-plan.ts';
import { loaderThreads } from '../../../src/runtime/loader-threads.ts';
import type { S3ObjectStore } from '../../../src/storage/s3.ts';
import { startServer, type TestServer } from '../../storage/versitygw.ts';
import { whole } from './whole.ts';

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
    captionTargets: { parallel: 0.5, lossOn: 'both' },
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
  await makeEmojiDataset(store, { concepts: 40 });
  const { key } = (await indexData(store, plan.data.train as string)).shards[0]!;
  const body = await store.get(key);
  const { document } = await indexData(store, plan.data.train as string);
  for (const [i, { image, meta }] of document.shards[0]!.examples.slice(0, 8).entries()) {
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

type Options = Partial<Parameters<typeof openBatches>[0]>;
async function read(count: number, options: Options): Promise<Batch[]> {
  const source = openBatches({ index: index.document, plan, firstBatch: 0, env, ...options });
  try {
    const batches: Batch[] = [];
    for (let i = 0; i < count; i++) batches.push(await whole(await source.next()));
    return batches;
  } finally {
    await source.close();
  }
}

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
    for (const threads of [2, 4]) expect((await read(batches, { threads })).map(hashOf)).toEqual(expected);
    // Each loader is closed in the middle of what it makes ahead.
    const killed: Batch[] = [];
    for (let k = 0; k < batches; k++) {
      const threads = [4, 1, 2][k % 3]!;
      killed.push(...(await read(1, { firstBatch: k, threads, bytes: k % 2 ? 30_000 : 64 * 2 ** 20 })));
    }
    expect(killed.map(hashOf)).toEqual(expected);
  });

  it('tell that all are alike as one thread does, though none of them sees all', async () => {
    const { captions: _, ...data } = plan.data;
    const one: BatchPlan = { ...plan, textLength: 1, data: { ...data, captions: captions.slice(0, 1) } };
    for (const threads of [1, 2]) {
      // With room for one token all texts are their end.
      const [batch] = await read(1, { plan: one, threads });
      expect(batch!.alike).toEqual({ pictures: false, texts: true });
    }
  });

  it('that the recipe does not allow end the loader at the same example with the same sentence', async () => {
    const strict: BatchPlan = { ...plan, data: { ...plan.data, maxBroken: 0.02 } };
    const sentences: string[] = [];
    for (const threads of [1, 2, 4])
      await read(5, { plan: strict, threads }).catch((error: Error) => sentences.push(error.message));
    expect(sentences).toHaveLength(3);
    expect(sentences[0]).toMatch(
      /^data: \d of the \d+ examples of data\/emoji\/train\/\S+ can't be used, the last because: /,
    );
    expect(new Set(sentences).size).toBe(1);
    const none: BatchPlan = { ...plan, data: { ...plan.data, captions: [{ language: 'sw', weight: 1 }] } };
    await expect(read(1, { plan: none, threads: 2 })).rejects.toMatchObject({
      code: 'DataContract',
      message: expect.stringMatching(/64 examples .* can't be used, the last because: no caption in sw/) as string,
    });
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
