import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Calibration, calibrate } from '../../src/embeddings/calibrate.ts';
import { writeCalibration } from '../../src/embeddings/calibrated-folder.ts';
import { type Embeddings, lineOf, manifestBytes, readEmbeddings } from '../../src/embeddings/manifest.ts';
import { parseEmbedding } from '../../src/embeddings/settings.ts';
import { writePart } from '../../src/evaluate/features/part-file.ts';
import { unitRows } from '../../src/evaluate/numbers/matrix.ts';
import { scoredPairs } from '../../src/metrics/calibration.ts';
import { fitLogit } from '../../src/metrics/pair-fit.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { SafetensorsFile, writeSafetensors } from '../../src/safetensors/safetensors.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';

let server: TestServer;
let store: S3ObjectStore;
let folder: string;
const [width, pictures, parts] = [8, 120, 2];
const random = randomStream(5, 'calibrate');
const drawn = (n: number) => Float32Array.from({ length: n * width }, () => random.normal());
const images = unitRows({ width, rows: drawn(pictures) }).rows;
// The text of each picture lies near it, more or less.
const texts = unitRows({ width, rows: images.map((value) => value + 0.45 * random.normal()) }).rows;
const perPart = pictures / parts;
const pause = async () => {};

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  folder = mkdtempSync(join(tmpdir(), 'siglip2-calibrate-'));
  const lines: string[] = [];
  for (let part = 0; part < parts; part++) {
    const rows = (of: Float32Array) => of.slice(part * perPart * width, (part + 1) * perPart * width);
    const examples = Array.from({ length: perPart }, (_, i) => ({
      shard: 'a.tar',
      name: `${part} ${i}`,
      concepts: [],
    }));
    const file = join(folder, `${part}.safetensors`);
    await writePart(
      file,
      { spec: 's', part, examples, skipped: [] },
      {
        'pooled/px-8': { shape: [perPart, width], data: rows(images) },
        'captions/en': { shape: [perPart, width], data: rows(texts) },
        'captions-of/en': { shape: [perPart], data: Int32Array.from({ length: perPart }, (_, i) => i) },
      },
    );
    const key = `embeddings/pairs/0123456789abcdef/0000000${part}.safetensors`;
    await store.putFile(key, file);
    const { bytes, etag } = (await store.head(key))!;
    lines.push(
      lineOf({ key, bytes, etag, examples: perPart, skipped: 0, texts: { en: perPart }, data: 'a'.repeat(64) }),
    );
  }
  const body = lines.join('');
  await store.put('embeddings/pairs/0123456789abcdef/parts-000000.jsonl', body);
  const hash = 'b'.repeat(64);
  const checkpoint = {
    run: 'r',
    phase: 'p',
    revision: 0,
    step: 1,
    examples: 1,
    prefix: 'runs/r/p/',
    manifestSha256: hash,
    sha256: hash,
  };
  const manifest: Embeddings = {
    ...{ version: 1, name: 'pairs', id: '0123456789abcdef' },
    settings: parseEmbedding({ name: 'pairs', model: 'r/p', data: 'data/held-out' }),
    model: { name: 'r/p@1', checkpoint, head: { logitScale: Math.log(10), logitBias: -10 } },
    data: { prefix: 'data/held-out', fingerprint: hash },
    ...{ resize: 'antialias', view: 8, width },
    tensors: {
      ...{ images: 'pooled/px-8', patches: null, grid: null },
      texts: { en: { rows: 'captions/en', of: 'captions-of/en' } },
    },
    ...{
      examples: pictures,
      skipped: 0,
      texts: { en: pictures },
      parts,
      bytes: 1,
      lists: sha256(body),
      codeVersion: '0',
    },
  };
  await store.put('embeddings/pairs.json', manifestBytes(manifest));
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const calibrated = async (how: { precisions?: number[]; share?: number | null } = {}): Promise<Calibration> =>
  calibrate(store, await readEmbeddings(store, 'pairs'), { precisions: [0.5, 0.9], share: null, ...how, pause });

/** Of every picture with every text, one product at a time. */
const all = Array.from({ length: pictures ** 2 }, (_, at) => {
  const [i, j] = [Math.floor(at / pictures), at % pictures];
  let cosine = 0;
  for (let k = 0; k < width; k++) cosine += images[i * width + k]! * texts[j * width + k]!;
  return { cosine, right: i === j };
});

it('scale and bias are those of all pairs one by one, and their loss is less', async () => {
  const found = await calibrated();
  expect(found).toMatchObject({ images: pictures, texts: pictures, pairs: { right: 120, wrong: 120 * 119 } });
  const slow = fitLogit(
    scoredPairs(
      all.map(({ cosine }) => cosine),
      all.map(({ right }) => Number(right)),
    ),
  )!;
  expect(Math.exp(found.after.logitScale) / slow.scale).toBeCloseTo(1, 3);
  expect(found.after.logitBias / slow.bias).toBeCloseTo(1, 3);
  expect(found.after.loss).toBeCloseTo(slow.loss, 6);
  expect(found.after.loss).toBeLessThan(found.before.loss);
  const before = all.reduce(
    (sum, { cosine, right }) => sum + Math.log1p(Math.exp((right ? -1 : 1) * (10 * cosine - 10))),
    0,
  );
  expect(found.before.loss).toBeCloseTo(before / all.length, 4);
});

it('from its threshold on so many pairs are right as was wanted, and what no cosine has is told', async () => {
  const { thresholds, without } = await calibrated({ precisions: [0.5, 0.9, 0.9999] });
  for (const { wanted, threshold, precision, recall } of thresholds) {
    const taken = all.filter(({ cosine }) => cosine >= threshold - 2e-5);
    expect(precision).toBeGreaterThanOrEqual(wanted);
    expect(taken.filter(({ right }) => right).length / taken.length).toBeCloseTo(precision, 6);
    expect(taken.filter(({ right }) => right).length / pictures).toBeCloseTo(recall, 6);
  }
  expect([...thresholds.map(({ wanted }) => wanted), ...without]).toEqual([0.5, 0.9, 0.9999]);
  // Where every second pair is right a lower cosine will do.
  const even = await calibrated({ share: 0.5 });
  expect(even.thresholds[1]!.threshold).toBeLessThan(thresholds[1]!.threshold);
  expect(even.after.logitBias).toBeGreaterThan((await calibrated()).after.logitBias);
});

it('a folder has it in its two numbers, in a file and in its card, and is else as it was', async () => {
  const own = join(folder, 'model');
  const path = join(own, 'model.safetensors');
  const tensor = (name: string, values: number[]) => {
    const data = Float32Array.from(values);
    return { name, shape: [values.length], dtype: 'F32' as const, data: new Uint8Array(data.buffer) };
  };
  mkdirSync(own);
  const others = tensor('a.weight', [1, 2, 3]);
  await writeSafetensors(path, [others, tensor('logit_bias', [-10]), tensor('logit_scale', [2.3])]);
  writeFileSync(join(own, 'README.md'), '# pets\n');
  writeFileSync(join(own, 'metrics.json'), '{"loss": 1.5}');
  const calibration = await calibrated();
  const length = readFileSync(path).length;
  await writeCalibration(own, calibration);
  const first = ['model.safetensors', 'calibration.json', 'README.md'].map((name) => readFileSync(join(own, name)));
  expect(first[0]).toHaveLength(length);
  const file = await SafetensorsFile.open(path);
  expect([...(await file.readFloats('a.weight'))]).toEqual([1, 2, 3]);
  expect((await file.readFloats('logit_scale'))[0]).toBe(Math.fround(calibration.after.logitScale));
  expect((await file.readFloats('logit_bias'))[0]).toBe(Math.fround(calibration.after.logitBias));
  await file.close();
  expect(JSON.parse(first[1]!.toString('utf8'))).toEqual(calibration);
  expect(JSON.parse(readFileSync(join(own, 'metrics.json'), 'utf8'))).toEqual({ loss: 1.5, calibration });
  expect(first[2]!.toString('utf8')).toMatch(
    /^# pets\n\n<!-- calibration -->\n## Calibration\n[\s\S]*\| 90.0 % \| 0\.\d{4} \(/,
  );
  await writeCalibration(own, calibration);
  const again = ['model.safetensors', 'calibration.json', 'README.md'].map((name) => readFileSync(join(own, name)));
  expect(again.map((bytes, i) => bytes.equals(first[i]!))).toEqual([true, true, true]);

  await writeSafetensors(path, [{ ...others, name: 'logit_bias' }]);
  await expect(writeCalibration(own, calibration)).rejects.toThrow(/its logit_scale is missing; allowed: one F32/);
  await expect(writeCalibration(folder, calibration)).rejects.toThrow(/it has no model.safetensors that can be read/);
});
