import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BatchMaker } from '../../../src/data/batches/batch-maker.ts';
import { openBatches } from '../../../src/data/batches/batches.ts';
import { entryOf, exampleAt } from '../../../src/data/batches/order.ts';
import type { Batch } from '../../../src/data/batches/types.ts';
import { decodeImage } from '../../../src/data/example/decode.ts';
import { loadTokenizer } from '../../../src/data/example/tokenizer.ts';
import { inlineShard } from '../../../src/data/index/open-index.ts';
import type { ScoreDtype, ScoreIndex } from '../../../src/data/index/score-index.ts';
import { ShardCache } from '../../../src/data/index/shard-cache.ts';
import { squarePixels } from '../../../src/data/views/preprocess.ts';
import type { BatchPlan } from '../../../src/recipe/batch-plan.ts';
import type { ScoreJob } from '../../../src/scoring/job.ts';
import { readScoreHeader } from '../../../src/scoring/score-header.ts';
import { Scoring } from '../../../src/scoring/scoring.ts';
import { embedOneByOne, languages, type TaughtData, taughtData } from '../../scoring/teacher.ts';
import { whole } from './whole.ts';

let data: TaughtData;
let expected: Awaited<ReturnType<typeof embedOneByOne>>;
let scores: Record<ScoreDtype, ScoreIndex>;
const resolution = 32;
const width = 16;

const plan = (changes: Partial<BatchPlan['data']> = {}): BatchPlan => ({
  seed: 3,
  phase: 'acid',
  batch: 64,
  resolution,
  textLength: 12,
  data: {
    train: 'data/emoji/train',
    captions: [
      { language: 'en', weight: 1 },
      { language: 'de', weight: 1 },
    ],
    labelShare: 1,
    augment: { scale: [1, 1], shift: 0 },
    ...changes,
  },
  vocabulary: null,
  parts: { teacherScores: { scores: { key: 'scores.json', sha256: '0'.repeat(64) }, width } },
});

beforeAll(async () => {
  data = await taughtData();
  expected = await embedOneByOne(data);
  scores = { f32: await scored('f32'), bf16: await scored('bf16') };
}, 60_000);
afterAll(() => data.stop());

/** Every shard, scored by the job and put into the bucket. */
async function scored(dtype: ScoreDtype): Promise<ScoreIndex> {
  const { folder, index, model, vocabulary, env, store } = data;
  const scoring = new Scoring();
  const teacher = { name: 'first/curated@40', sha256: 'a'.repeat(64) };
  const shards: ScoreIndex['shards'][number][] = [];
  for (const i of index.shards.keys()) {
    const shard = await inlineShard(index, i);
    const out = join(folder, `${i}.safetensors`);
    const job: ScoreJob = { kind: 'score', folder, teacher, model, shard, languages, vocabulary, dtype, out };
    const { bytes, examples } = (await scoring.score(job, {
      note() {},
      signal: new AbortController().signal,
      env,
    }))!;
    const key = `scores/${dtype}/${i}.safetensors`;
    const { etag } = await store.putFile(key, out);
    const { corrupt, offset, dataSha256: sha256 } = await readScoreHeader(store, { key, bytes, etag }, job);
    shards.push({ key, bytes, etag, sha256, examples, corrupt, offset });
  }
  scoring.close();
  return {
    version: 1,
    teacher: { run: 'first', phase: 'curated', revision: 0, step: 40, sha256: teacher.sha256 },
    ...{ logitScale: expected.logitScale, logitBias: expected.logitBias, width, dtype, languages },
    dataFingerprint: index.fingerprint,
    shards,
  };
}

const maker = (of: ScoreIndex | null, folder = 'shards', settings = plan()) =>
  new BatchMaker(data.index, settings, new ShardCache(data.store, join(data.folder, folder)), of);

/** Which example each picture and each text of a batch is that of, by looking at all of them. */
async function examplesByPicture(): Promise<Map<string, { shard: number; example: number }>> {
  const found = new Map<string, { shard: number; example: number }>();
  for (const shard of data.index.shards.keys()) {
    const { key, examples } = await inlineShard(data.index, shard);
    const body = await data.store.get(key);
    for (const [example, { image }] of examples.entries()) {
      if (shard === 0 && data.corrupt.includes(example)) continue;
      const pixels = await decodeImage(body.subarray(image.offset, image.offset + image.size));
      found.set(Buffer.from(squarePixels(pixels, resolution, 'big_vision')).toString('base64'), { shard, example });
    }
  }
  return found;
}
const picture = ({ images }: Batch, i: number) => {
  const size = resolution ** 2 * 3;
  return Buffer.from(images.subarray(i * size, (i + 1) * size)).toString('base64');
};
const row = (values: Batch['parts'][string], i: number) => [...values.subarray(i * width, (i + 1) * width)];

/** A matmul of many rows may add in another order than one of a row: on a CPU with AVX2 alone it does. */
const farthest = (a: readonly number[], b: ArrayLike<number>) =>
  Math.max(...a.map((value, k) => Math.abs(value - b[k]!)));

test('a batch holds what the teacher made of each picture and of the very text beside it, also where an example was replaced', async () => {
  const known = await examplesByPicture();
  // Few emoji look the same in two styles, or the pictures would name no example.
  expect(known.size).toBeGreaterThan(540);
  const [exact, half] = [maker(scores.f32), maker(scores.bf16)];
  let replaced = 0;
  const seen = new Set<string>();
  for (let k = 0; k < 12; k++) {
    const [batch, rounded] = [await exact.make(k), await half.make(k)];
    for (let i = 0; i < 64; i++) {
      const at = known.get(picture(batch, i))!;
      const ordered = exampleAt(data.index, 3, 'acid', k * 64 + i);
      const { image, texts } = expected.rows[at.shard]![at.example]!;
      if (ordered.shard !== at.shard || ordered.example !== at.example) {
        expect(batch.skipped.map(({ name }) => name)).toContain((await entryOf(data.index, ordered)).entry.name);
        replaced++;
      }
      expect(farthest(row(batch.parts.teacherImages!, i), image!)).toBeLessThan(5e-7);
      const tokens = [...batch.tokens.subarray(i * 12, (i + 1) * 12)].join();
      const { shard, entry } = await entryOf(data.index, at);
      const { captions } = JSON.parse(
        (await data.store.get(shard.key, { offset: entry.meta.offset, size: entry.meta.size })).toString(),
      );
      const own = ['de', 'en'].filter(
        (language) => [...loadTokenizer().tokenize([captions[language][0]], 12)].join() === tokens,
      );
      seen.add(own.join());
      const text = row(batch.parts.teacherTexts!, i);
      expect(Math.min(...own.map((language) => farthest(text, texts[language]!)))).toBeLessThan(5e-7);
      const near = row(rounded.parts.teacherTexts!, i);
      for (const [e, value] of near.entries()) {
        expect(Math.abs(value - text[e]!)).toBeLessThanOrEqual(Math.abs(text[e]!) * 2 ** -8);
        expect(new Uint32Array(new Float32Array([value]).buffer)[0]! & 0xffff).toBe(0);
      }
    }
  }
  expect(replaced).toBeGreaterThanOrEqual(4);
  expect([...seen]).toEqual(expect.arrayContaining(['de', 'en']));
}, 60_000);

test('the loader gives the same, from local files, and late', async () => {
  const [index, own] = [join(data.folder, 'index.json'), join(data.folder, 'scores.json')];
  await writeFile(index, JSON.stringify(data.index.document));
  await writeFile(own, JSON.stringify(scores.f32));
  const source = openBatches({ index, plan: plan(), scores: own, firstBatch: 5, env: data.env });
  const batch = await whole(await source.next());
  await source.close();
  const wanted = await maker(scores.f32).make(5);
  for (const name of ['teacherImages', 'teacherTexts']) expect(batch.parts[name]).toEqual(wanted.parts[name]);
});

test('an example that only the teacher could not be shown is replaced, and named', async () => {
  const [first, ...others] = scores.f32.shards;
  const batch = await maker(scores.f32).make(0);
  const refs = Array.from({ length: 64 }, (_, i) => exampleAt(data.index, 3, 'acid', i));
  const i = refs.findIndex(({ shard, example }) => shard === 0 && !data.corrupt.includes(example));
  const { example } = refs[i]!;
  const corrupt = [...first!.corrupt, example].sort((a, b) => a - b);
  const without = await maker({ ...scores.f32, shards: [{ ...first!, corrupt }, ...others] }).make(0);
  expect(without.skipped).toContainEqual({
    shard: data.index.shards[0]!.key,
    name: (await data.index.entriesOf(0)).at(example).name,
    reason: 'the teacher could not be shown it',
  });
  expect(picture(without, i)).not.toBe(picture(batch, i));
  expect(row(without.parts.teacherImages!, i)).not.toEqual(row(batch.parts.teacherImages!, i));
  for (let other = 0; other < 64; other++) if (other !== i) expect(picture(without, other)).toBe(picture(batch, other));
});

test('scores of other data, of another width or of texts that were not scored are refused in a sentence', async () => {
  const refused = (message: RegExp) => ({ code: 'DataContract', message: expect.stringMatching(message) });
  const other = { ...scores.f32, dataFingerprint: 'f'.repeat(64) };
  expect(() => maker(other)).toThrow(/stored scores are those of other data than lies below data\/emoji\/train/);
  await expect(maker(null).make(0)).rejects.toMatchObject(refused(/of width 16 are wanted, and none are there/));
  await expect(maker({ ...scores.f32, width: 8 }).make(0)).rejects.toMatchObject(
    refused(/width 16 are wanted, and those of width 8 are there/),
  );
  await expect(maker({ ...scores.f32, languages: ['tlh'] }).make(0)).rejects.toMatchObject(
    refused(/have texts in tlh, and (de|en) is wanted/),
  );
  await expect(maker(scores.f32, 'shards', plan({ labelShare: 0.5 })).make(0)).rejects.toMatchObject({
    code: 'RecipeInvalid',
    message: expect.stringContaining('labelShare'),
  });
});

test('a file of scores that rots in the store, unseen by its ETag, is told as damaged', async () => {
  const [{ key }] = scores.f32.shards as [ScoreIndex['shards'][number]];
  const path = join(data.server.folder, 'root', 'test', key);
  const bytes = await readFile(path);
  const rotten = Buffer.from(bytes);
  rotten.writeUInt8(rotten.at(-1)! ^ 1, rotten.length - 1);
  await writeFile(path, rotten);
  await expect(maker(scores.f32, 'rotten').make(0)).rejects.toMatchObject({
    code: 'DataContract',
    message: expect.stringMatching(new RegExp(`${key} is damaged: `)),
  });
  await writeFile(path, bytes);
  expect((await maker(scores.f32, 'rotten').make(0)).index).toBe(0);
});

test('files of scores are fetched ahead with the shards that they belong to', async () => {
  const ahead = maker(scores.f32, 'ahead');
  await ahead.fetchAhead(0);
  await data.server.kill();
  const { parts } = await ahead.make(0);
  await data.server.restart();
  expect(parts).toEqual((await maker(scores.f32).make(0)).parts);
});
