import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeImage } from '../../src/data/example/decode.ts';
import { inlineShard } from '../../src/data/index/open-index.ts';
import { type ScoreDtype, scoreRow } from '../../src/data/index/score-index.ts';
import type { ShardIndex } from '../../src/data/index/types.ts';
import { naflexPatches } from '../../src/data/views/naflex-resize.ts';
import { squarePixels } from '../../src/data/views/preprocess.ts';
import { openEmbedder } from '../../src/model/embed.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import { SafetensorsFile } from '../../src/safetensors/safetensors.ts';
import type { ScoreJob } from '../../src/scoring/job.ts';
import { scoringHash } from '../../src/scoring/score-file.ts';
import { readScoreHeader } from '../../src/scoring/score-header.ts';
import { inspectScores } from '../../src/scoring/score-object.ts';
import { Scoring } from '../../src/scoring/scoring.ts';
import { embedOneByOne, languages, type TaughtData, taughtData, writeTeacher } from './teacher.ts';

let data: TaughtData;
let shards: ShardIndex[];
let expected: Awaited<ReturnType<typeof embedOneByOne>>;
const scoring = new Scoring();
beforeAll(async () => {
  data = await taughtData();
  shards = await Promise.all([...data.index.shards.keys()].map((shard) => inlineShard(data.index, shard)));
  expected = await embedOneByOne(data);
}, 60_000);
afterAll(async () => {
  scoring.close();
  await data.stop();
});

const teacher = { name: 'first/curated@40', sha256: 'a'.repeat(64) };
const job = (shard: number, dtype: ScoreDtype = 'f32', changes: Partial<ScoreJob> = {}): ScoreJob => ({
  kind: 'score',
  folder: data.folder,
  teacher,
  model: data.model,
  shard: shards[shard]!,
  languages,
  vocabulary: data.vocabulary,
  dtype,
  out: join(data.folder, `${shard}-${dtype}.safetensors`),
  ...changes,
});
const score = (of: ScoreJob, signal = new AbortController().signal, note: (text: string) => void = () => {}) =>
  scoring.score(of, { note, signal, env: data.env });

/** The nearest bfloat16, the even one of two that are as near. */
function rounded(value: number): number {
  const bits = new Uint32Array(new Float32Array([value]).buffer)[0]!;
  const [below, above] = [bits & 0xffff0000, (bits & 0xffff0000) + 0x10000].map((one) => {
    return new Float32Array(new Uint32Array([one]).buffer)[0]!;
  }) as [number, number];
  const [down, up] = [Math.abs(value - below), Math.abs(above - value)];
  return down < up || (down === up && (bits & 0x10000) === 0) ? below : above;
}

describe('the scores of real emoji by a real teacher', () => {
  it.each(['f32', 'bf16'] as const)(
    'hold in %s, row by row, what the embedder makes of one example at a time',
    async (dtype) => {
      const width = data.model.vision.width;
      for (const [i, shard] of shards.entries()) {
        const corrupt = i === 0 ? data.corrupt : [];
        const { out } = job(i, dtype);
        const result = await score(job(i, dtype));
        expect(result).toMatchObject({ examples: shard.examples.length, corrupt: corrupt.length });
        const file = await SafetensorsFile.open(out);
        expect([...file.tensors.keys()]).toEqual(['images', 'texts.de', 'texts.en', 'texts.tlh']);
        for (const [tensor, name] of [...file.tensors.keys()].entries()) {
          const { shape, offset } = file.info(name);
          expect(shape).toEqual([shard.examples.length, width]);
          const found = await file.read(name);
          const images = file.info('images').offset;
          let filled = 0;
          for (let example = 0; example < shape[0]!; example++) {
            const row = expected.rows[i]![example];
            const all = row && (name === 'images' ? row.image : row.texts[name.slice('texts.'.length)]);
            filled += all ? 1 : 0;
            const wanted = Array.from(all ?? new Float32Array(width), dtype === 'f32' ? Number : rounded);
            const place = { offset: images, examples: shape[0]! };
            const { offset: at, size } = scoreRow({ width, dtype }, place, tensor, example);
            const own = found.slice(at - offset, at - offset + size);
            const read =
              dtype === 'f32'
                ? new Float32Array(own.buffer)
                : new Float32Array(Uint32Array.from(new Uint16Array(own.buffer), (half) => half << 16).buffer);
            if (!all) expect([...read]).toEqual(wanted);
            // A matmul of many rows may add in another order than one of a row: on a CPU with AVX2 alone it does.
            const within = (value: number) => (dtype === 'f32' ? 5e-7 : 2 ** -8 * Math.abs(value));
            const far = wanted.filter((value, k) => !(Math.abs(read[k]! - value) <= within(value)));
            expect(far).toEqual([]);
          }
          expect(filled).toBe(name === 'texts.tlh' ? 0 : shape[0]! - corrupt.length);
        }
        await file.close();
      }
    },
    60_000,
  );

  it('are of the pictures that training sees: antialiased where the recipe says so, and named otherwise', async () => {
    const out = join(data.folder, 'antialias.safetensors');
    await score(job(1, 'f32', { resize: 'antialias', out }));
    const file = await SafetensorsFile.open(out);
    const { metadata } = file;
    const found = new Float32Array((await file.read('images')).slice().buffer);
    await file.close();
    expect(metadata.preprocessing).toContain('"resize":"antialias"');
    const shard = shards[1]!;
    const body = await data.store.get(shard.key);
    const embedder = await openEmbedder(data.folder, data.model, data.vocabulary);
    const { width, resolution } = data.model.vision;
    const wanted: number[] = [];
    const entries = await data.index.entriesOf(1);
    for (let i = 0; i < 5; i++) {
      const { image } = entries.at(i);
      const pixels = await decodeImage(body.subarray(image.offset, image.offset + image.size));
      wanted.push(...embedder.images(squarePixels(pixels, resolution, 'antialias')));
    }
    embedder.dispose();
    expect([...found.subarray(0, 5 * width)]).toEqual(wanted);
    expect([...expected.rows[1]![0]!.image]).not.toEqual(wanted.slice(0, width));
    const { model, dtype } = job(1);
    const hashes = [undefined, 'big_vision', 'antialias'].map((resize) =>
      scoringHash({ teacher, model, languages, dtype, resize: resize as 'antialias' }, 'x'),
    );
    expect([hashes[0] === hashes[1], hashes[0] === hashes[2]]).toEqual([true, false]);
  });

  it('say what they are of, and are the same bytes when a teacher that is opened anew makes them again', async () => {
    const first = await score(job(0));
    const bytes = await readFile(job(0).out);
    const other = new Scoring();
    const again = await other.score(job(0, 'f32', { out: join(data.folder, 'again') }), {
      note() {},
      signal: new AbortController().signal,
      env: data.env,
    });
    other.close();
    expect(again).toEqual(first);
    expect(bytes.equals(await readFile(join(data.folder, 'again')))).toBe(true);
    const file = await SafetensorsFile.open(job(0).out);
    const { metadata } = file;
    await file.close();
    expect(metadata).toMatchObject({
      format: 'siglip2-scores',
      version: '1',
      teacher: 'first/curated@40',
      checkpoint_sha256: teacher.sha256,
      logit_scale: String(expected.logitScale),
      logit_bias: String(expected.logitBias),
      preprocessing: '{"kind":"fixed","patch":4,"resize":"bilinear","resolution":16,"text_length":12}',
      shard: data.index.shards[0]!.key,
      shard_etag: data.index.shards[0]!.etag,
      corrupt: JSON.stringify(data.corrupt),
    });
    expect(Math.fround(Number(metadata.logit_scale))).toBe(expected.logitScale);
  });

  it('do not depend on which rows of the token table the teacher was opened with', async () => {
    const { sha256 } = (await score(job(1)))!;
    expect(await score(job(1, 'f32', { vocabulary: null }))).toMatchObject({ sha256 });
  });

  it('are those of images of any shape when the teacher is a NaFlex model', async () => {
    const folder = join(data.folder, 'naflex');
    await mkdir(folder);
    const model: ModelConfig = { ...data.model, vision: { ...data.model.vision, kind: 'naflex' } };
    await writeTeacher(folder, model, data.vocabulary);
    const shard = shards[1]!;
    const { out } = job(1);
    expect(
      await score(job(1, 'f32', { folder, model, teacher: { ...teacher, sha256: 'c'.repeat(64) } })),
    ).toMatchObject({
      corrupt: 0,
    });
    const file = await SafetensorsFile.open(out);
    const rows = new Float32Array((await file.read('images')).buffer);
    await file.close();
    const embedder = await openEmbedder(folder, model, data.vocabulary, { patches: 16 });
    const body = await data.store.get(shard.key);
    const width = model.vision.width;
    for (const [i, { image }] of shard.examples.entries()) {
      const pixels = await decodeImage(body.subarray(image.offset, image.offset + image.size));
      const wanted = embedder.patches([naflexPatches(pixels, model.vision.patch, 16)]);
      expect([...rows.subarray(i * width, (i + 1) * width)]).toEqual([...wanted]);
    }
    embedder.dispose();
  });

  it('end early when nobody wants them, also while the store is away', async () => {
    const stop = new AbortController();
    const cold = job(0, 'f32', { out: join(data.folder, 'never') });
    await data.server.kill();
    try {
      const note = (text: string) => {
        expect(text).toMatch(/waiting for the store/);
        stop.abort();
      };
      // Nothing of the data is on disk there.
      const env = { ...data.env, SIGLIP2_SCRATCH: join(data.folder, 'cold') };
      expect(await scoring.score(cold, { note, signal: stop.signal, env })).toBeNull();
    } finally {
      await data.server.restart();
    }
    await expect(readFile(cold.out)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('a file of scores in the bucket', () => {
  const key = 'runs/first/acid/scores/0123456789abcdef/00000000.safetensors';
  const put = async (change: (bytes: Buffer) => void) => {
    const bytes = await readFile(job(0).out);
    change(bytes);
    const { etag } = await data.store.put(key, bytes);
    return { key, bytes: bytes.length, etag };
  };
  const facts = () => job(0);

  it('is read and verified by its header alone, and whole', async () => {
    await score(job(0));
    const remote = await put(() => {});
    const { corrupt, logitScale, offset } = await readScoreHeader(data.store, remote, facts());
    expect({ corrupt, logitScale }).toEqual({ corrupt: data.corrupt, logitScale: expected.logitScale });
    const file = await SafetensorsFile.open(job(0).out);
    expect(offset).toBe(file.info('images').offset);
    await file.close();
    const { bytes, etag } = remote;
    expect(await inspectScores(data.store, key, facts())).toEqual({ bytes, etag, corrupt: data.corrupt.length });
    expect(await inspectScores(data.store, `${key}x`, facts())).toBeNull();
  });

  it.each([
    [
      'a bit of its last row',
      (bytes: Buffer) => void bytes.writeUInt8(bytes.at(-1)! ^ 1, bytes.length - 1),
      /holds data of sha256/,
    ],
    ['its length', (bytes: Buffer) => void bytes.writeBigUInt64LE(2n ** 40n), /has a header of/],
    ['a name', (bytes: Buffer) => void bytes.write('"dtypo"', bytes.indexOf('"dtype"')), /says dtype undefined/],
    ['a number', (bytes: Buffer) => void bytes.write('0x1', bytes.indexOf('"logit_bias":"') + 14), /wrong logit_bias/],
  ])('that has changed in %s is told as damaged, and what to do', async (_, change, message) => {
    await put(change);
    const inspected = inspectScores(data.store, key, facts());
    await expect(inspected).rejects.toMatchObject({ code: 'DataContract', details: { object: key } });
    await expect(inspected).rejects.toThrow(message);
    await expect(inspected).rejects.toThrow(/00000000.safetensors are damaged: .*; delete it, and it is made again$/);
  });

  it.each([
    ['another teacher', { teacher: { ...teacher, sha256: 'b'.repeat(64) } }, /says checkpoint_sha256 a+, and b+ is/],
    ['another type', { dtype: 'bf16' as const }, /says dtype f32, and bf16 is wanted/],
    ['other languages', { languages: ['en'] }, /says languages de en tlh, and en is wanted/],
  ])('of %s is not taken', async (_, change, message) => {
    await put(() => {});
    await expect(inspectScores(data.store, key, { ...facts(), ...change })).rejects.toThrow(message);
  });

  it('of examples by other names is not taken', async () => {
    const shard = shards[0]!;
    const [first, ...others] = shard.examples;
    const renamed = { ...shard, examples: [{ ...first!, name: 'another' }, ...others] };
    await expect(inspectScores(data.store, key, { ...facts(), shard: renamed })).rejects.toThrow(
      /says examples_sha256/,
    );
  });
});
