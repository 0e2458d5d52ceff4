import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Pixels } from '../../src/data/example/pixels.ts';
import { readExamples } from '../../src/data/example/read-examples.ts';
import { collectTokenIds } from '../../src/data/example/token-ids.ts';
import { loadTokenizer } from '../../src/data/example/tokenizer.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import type { DataIndex } from '../../src/data/index/types.ts';
import { squarePixels } from '../../src/data/views/preprocess.ts';
import { evaluateModel, type ModelEvaluation } from '../../src/evaluate/evaluate-model.ts';
import type { ImageSpec } from '../../src/evaluate/features/spec.ts';
import type { EvaluateJob } from '../../src/evaluate/job.ts';
import { makeSheet } from '../../src/evaluate/sheet/make-sheet.ts';
import { sheetSchema } from '../../src/evaluate/sheet/sheet.ts';
import { openEmbedder } from '../../src/model/embed.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import { foreign, readSchema } from '../../src/recipe/reading.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { type RawMember, tarOf } from '../data/tar-file.ts';
import { writeExport } from '../parity/export-folder.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { drawnEmoji } from '../support/drawn-emoji.ts';

let server: TestServer;
let store: S3ObjectStore;
let folder: string;
let model: ModelConfig;
let index: DataIndex;
let report: ModelEvaluation;
const job = (changes: Partial<EvaluateJob> = {}): EvaluateJob => ({
  kind: 'evaluate',
  folder,
  model,
  indexFile: join(folder, 'index.json'),
  languages: ['en', 'de', 'tlh'],
  maxExamples: 1000,
  ...changes,
});

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  folder = await mkdtemp(join(tmpdir(), 'siglip2-evaluate-'));
  const dataset = await drawnEmoji(store, { concepts: 24 });
  index = await indexData(store, dataset.heldOut);
  await writeFile(job().indexFile, JSON.stringify(index.document));
  const labels: string[] = [];
  for await (const { meta } of readExamples(store, index)) {
    labels.push(meta.captions.en![0]!, meta.captions.de![0]!);
  }
  ({ model } = await writeExport(folder, labels));
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

describe('the evaluation of a model on real emoji in a real S3 server', () => {
  it('has the figures of a loop that embeds one image and one text at a time', async () => {
    const tokenizer = loadTokenizer();
    const embedder = await openEmbedder(folder, model, await collectTokenIds(store, index, ['en']));
    const images: Float32Array[] = [];
    const texts: Float32Array[] = [];
    for await (const { image, meta } of readExamples(store, index)) {
      images.push(embedder.images(squarePixels(image, model.vision.resolution, 'big_vision')));
      texts.push(embedder.texts(tokenizer.tokenize([meta.captions.en![0]!], model.text.length)));
    }
    embedder.dispose();
    const cosine = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, k) => sum + value * b[k]!, 0);
    const hits = (k: number, queries: Float32Array[], candidates: Float32Array[]) =>
      queries.filter((query, i) => {
        const own = cosine(query, candidates[i]!);
        return candidates.filter((candidate) => cosine(query, candidate) > own).length < k;
      }).length / queries.length;

    report = await evaluateModel(job(), () => {}, store);
    expect(report).toMatchObject({ examples: 24, corrupt: 0 });
    expect(report.zero_shot).toMatchObject({ language: 'en', classes: 24, examples: 24, left_out: 0, chance: 1 / 24 });
    expect(report.zero_shot.top1).toBeCloseTo(hits(1, images, texts), 12);
    expect(report.zero_shot.top5).toBeCloseTo(hits(5, images, texts), 12);
    expect(report.retrieval.image_to_text.r10).toBeCloseTo(hits(10, images, texts), 12);
    expect(report.retrieval.text_to_image.r5).toBeCloseTo(hits(5, texts, images), 12);
    expect(report.retrieval.text_to_image.r10).toBeCloseTo(hits(10, texts, images), 12);
    // An untrained model is somewhere between nothing and everything, or the comparison would prove little.
    expect(report.retrieval.text_to_image.r10).toBeGreaterThan(0);
    expect(report.retrieval.text_to_image.r10).toBeLessThan(1);
    expect(report.zero_shot.by_language.tlh).toEqual({ classes: 0, examples: 0, left_out: 24 });
  });

  it('has a sheet of pictures with the same answers, the same bytes twice', async () => {
    const out = join(folder, 'sheet.json');
    const spec: ImageSpec = {
      model: { sha256: 'a'.repeat(64), config: model },
      data: { fingerprint: index.fingerprint, read: null },
      sample: { of: 24, examples: 24, seed: 0 },
      views: [model.vision.resolution],
      resize: 'big_vision',
      patches: true,
      perPart: 1,
      captions: { languages: ['en'], most: 1, read: null },
      text: { case: 'lower' },
    };
    const of = {
      kind: 'sheet',
      folder,
      model,
      spec,
      classes: null,
      indexFile: job().indexFile,
      name: 'a/b@1',
      out,
    } as const;
    const made = async () => {
      const events = { note: () => {}, signal: new AbortController().signal };
      expect(await makeSheet({ ...of, languages: ['tlh', 'en'] }, events, store)).toEqual({ pictures: 24 });
      return readFile(out, 'utf8');
    };
    const text = await made();
    const sheet = sheetSchema.parse(JSON.parse(text));
    expect(sheet.looked).toEqual({ pictures: 24, of: 24, language: 'en', view: `px-${model.vision.resolution}` });
    const right = sheet.outcomes.filter((one) => one.right).length;
    expect(right / 24).toBeCloseTo(report.zero_shot.top1!, 12);
    expect(sheet.confusions.reduce((sum, { times }) => sum + times, 0)).toBe(Math.min(8, 24 - right));
    for (const { nearest } of sheet.textToImage) expect(nearest).toHaveLength(5);
    const grid = Math.floor(model.vision.resolution / model.vision.patch);
    const png = await sharp(Buffer.from(sheet.maps[0]!.attention, 'base64')).toColourspace('b-w').raw().toBuffer();
    expect([png.length, Math.max(...png)]).toEqual([grid * grid, 255]);
    expect(sheet.maps).toHaveLength(8);
    expect(sheet.masks.map(({ id }) => id)).toEqual(sheet.maps.map(({ id }) => id));
    const known = new Map(sheet.outcomes.map((one) => [one.id, one]));
    for (const { id, texts } of sheet.masks) expect([texts.length, texts[0]]).toEqual([5, known.get(id)!.taken]);
    for (const { id } of [...sheet.outcomes, ...sheet.maps]) expect(Object.keys(sheet.pictures)).toContain(id);
    expect(await made()).toBe(text);
  });

  it('takes every caption of an image, under the mean of its templates, as a loop over single texts does', async () => {
    const templates = ['a photo of {}', '{}, drawn.'];
    const read = readSchema.parse({ captions: 'json', field: 'text', templates });
    const shard: RawMember[] = [];
    const pictures: Pixels[] = [];
    const said: string[][] = [];
    for await (const { image, meta } of readExamples(store, index)) {
      const own = [...new Set([...meta.captions.en!, ...meta.captions.de!])].slice(0, 1 + (said.length % 3));
      const { data, width, height } = image;
      const body = await sharp(data, { raw: { width, height, channels: 3 } })
        .png()
        .toBuffer();
      shard.push(
        { name: `${said.length}.png`, body },
        { name: `${said.length}.json`, body: JSON.stringify({ text: own }) },
      );
      pictures.push(image);
      said.push(own);
    }
    await store.put('data/several/0.tar', tarOf(shard));
    const several = await indexData(store, 'data/several', foreign(read));
    const indexFile = join(folder, 'several.json');
    await writeFile(indexFile, JSON.stringify(several.document));
    const found = await evaluateModel(
      job({ indexFile, languages: ['en'], read, resize: 'antialias' }),
      () => {},
      store,
    );

    const tokenizer = loadTokenizer();
    const ids = await collectTokenIds(store, several, ['en'], { read });
    const embedder = await openEmbedder(folder, model, ids);
    const images = pictures.map((image) => embedder.images(squarePixels(image, model.vision.resolution, 'antialias')));
    const texts = said.flatMap((own, image) =>
      own.map((text) => {
        const rows = templates.map((template) =>
          embedder.texts(tokenizer.tokenize([template.replace('{}', text)], model.text.length)),
        );
        const sum = rows[0]!.map((value, k) => value + rows[1]![k]!);
        const length = Math.hypot(...sum);
        return { image, row: sum.map((value) => value / length) };
      }),
    );
    embedder.dispose();
    const cosine = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, k) => sum + value * b[k]!, 0);
    const textHits = (k: number) =>
      texts.filter(({ image, row }) => {
        const own = cosine(row, images[image]!);
        return images.filter((other) => cosine(row, other) > own).length < k;
      }).length / texts.length;
    const imageHits = (k: number) =>
      images.filter((row, image) => {
        const best = texts.map((text) => ({ ...text, score: cosine(row, text.row) })).sort((a, b) => b.score - a.score);
        return best.slice(0, k).some((text) => text.image === image);
      }).length / images.length;
    expect(found.retrieval).toMatchObject({ images: 24, texts: texts.length, left_out: 0 });
    expect(texts.length).toBeGreaterThan(40);
    for (const k of [1, 5, 10] as const) {
      expect(found.retrieval.text_to_image[`r${k}`]).toBeCloseTo(textHits(k), 12);
      expect(found.retrieval.image_to_text[`r${k}`]).toBeCloseTo(imageHits(k), 12);
    }
    // Without antialiasing the model sees other pictures.
    const sparse = await evaluateModel(job({ indexFile, languages: ['en'], read }), () => {}, store);
    expect(sparse.retrieval).not.toEqual(found.retrieval);
    // A plan of before knows of first captions alone.
    const before = await evaluateModel(job({ indexFile, languages: ['en'] }), () => {}, store);
    expect(before.retrieval).toMatchObject({ images: 24, texts: 24 });
  });

  it('looks at no more examples than it was told to', async () => {
    const few = await evaluateModel(job({ maxExamples: 7, languages: ['de'] }), () => {}, store);
    expect(few).toMatchObject({ examples: 7, zero_shot: { classes: 7, language: 'de' } });
  });

  it('waits while the store is away, says so, and then gives the same figures', async () => {
    const notes: string[] = [];
    await server.kill();
    const running = evaluateModel(job(), (note) => notes.push(note), server.store({ attempts: 1 }));
    while (notes.length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(notes[0]).toBe('reading captions');
    expect(notes[1]).toMatch(/waiting for the store/);
    await server.restart();
    expect(await running).toEqual(report);
  });
});
