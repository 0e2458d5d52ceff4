import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AutoProcessor,
  AutoTokenizer,
  env,
  RawImage,
  SiglipModel,
  SiglipTextModel,
  Tensor,
} from '@huggingface/transformers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEmbedder } from '../../src/model/embed.ts';
import { exportOnnx, type OnnxOptions } from '../../src/onnx/export-folder.ts';
import type { HalfCost } from '../../src/onnx/half-cost.ts';
import { type ExportedModel, texts, writeExport } from '../parity/export-folder.ts';
import { answers, apart, type Fed, floats, leastCosine, whole } from './answers.ts';

/** What transformers answered to the same folder: test/parity/check_export.py. */
const answer = JSON.parse(readFileSync(new URL('../parity/fixtures/export.json', import.meta.url), 'utf8')) as {
  input_ids: number[][];
  logits_per_image: number[][];
};

let root: string;
let source: string;
let exported: ExportedModel;
let images: Float32Array;
let words: Float32Array;
const costs: Record<string, HalfCost> = {};

const options = (more: Partial<OnnxOptions> = {}): OnnxOptions => ({
  ...{ parts: ['both', 'image', 'text'], dtypes: ['f32'], opset: 20, scratch: root, producer: 'test' },
  ...more,
});
const out = (...names: string[]) => join(root, 'out', ...names);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'siglip2-onnx-'));
  source = join(root, 'model');
  exported = await writeExport(source);
  const embedder = await openEmbedder(source, exported.model, exported.vocabulary);
  [images, words] = [embedder.images(exported.images), embedder.texts(exported.tokens)];
  embedder.dispose();
  await exportOnnx(source, out(), {
    ...options({ dtypes: ['f32', 'f16'] }),
    onCost: (tower, cost) => {
      costs[tower] = cost;
    },
  });
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Pixels of the test's pictures as a processor gives them: (n, 3, R, R). */
function pixels(): Fed {
  const side = exported.model.vision.resolution;
  const data = new Float32Array(exported.images.length);
  for (const [at, byte] of exported.images.entries()) {
    const [picture, place, channel] = [Math.floor(at / (3 * side * side)), Math.floor(at / 3) % side ** 2, at % 3];
    data[(picture * 3 + channel) * side * side + place] = byte / 127.5 - 1;
  }
  return floats(data, [data.length / (3 * side * side), 3, side, side]);
}
const ids = () => whole(exported.tokens, [texts.length, exported.model.text.length]);

describe('a model as ONNX, run by ONNX Runtime', () => {
  it('gives the logits that transformers gives, and embeddings of our own forward pass', async () => {
    const found = await answers(out('onnx', 'model.onnx'), { input_ids: ids(), pixel_values: pixels() });
    expect(found.logits_per_image!.shape).toEqual([3, texts.length]);
    expect(apart(found.logits_per_image!.data, answer.logits_per_image.flat())).toBeLessThan(1e-4);
    expect(apart(found.image_embeds!.data, images)).toBeLessThan(5e-6);
    expect(apart(found.text_embeds!.data, words)).toBeLessThan(5e-6);
    const perText = answer.logits_per_image[0]!.flatMap((_, t) => answer.logits_per_image.map((row) => row[t]!));
    expect(apart(found.logits_per_text!.data, perText)).toBeLessThan(1e-4);
  });

  it('has towers alone, that give what is not normalised', async () => {
    const { width } = exported.model.vision;
    const image = await answers(out('onnx', 'vision_model.onnx'), { pixel_values: pixels() });
    const text = await answers(out('onnx', 'text_model.onnx'), { input_ids: ids() });
    expect(Object.keys(image)).toEqual(['last_hidden_state', 'pooler_output']);
    expect(image.last_hidden_state!.shape).toEqual([3, 4, width]);
    expect(leastCosine(image.pooler_output!.data, images, width)).toBeGreaterThan(1 - 1e-6);
    expect(text.last_hidden_state!.shape).toEqual([texts.length, 16, exported.model.text.width]);
    expect(leastCosine(text.pooler_output!.data, words, width)).toBeGreaterThan(1 - 1e-6);
    expect(Math.hypot(...text.pooler_output!.data.subarray(0, width))).not.toBeCloseTo(1, 1);
  });

  it('costs in float16 what the command says, and takes half the room', async () => {
    const { width } = exported.model.vision;
    const found = await answers(out('onnx', 'model_fp16.onnx'), { input_ids: ids(), pixel_values: pixels() });
    for (const [rows, own, cost] of [
      [found.image_embeds!.data, images, costs.image!],
      [found.text_embeds!.data, words, costs.text!],
    ] as const) {
      expect(cost.cosine).toBeLessThan(1);
      expect(1 - leastCosine(rows, own, width)).toBeLessThan(100 * (1 - cost.cosine));
      expect(apart(rows, own)).toBeLessThan(5e-3);
    }
    const [small, large] = ['model_fp16.onnx', 'model.onnx'].map((name) => readFileSync(out('onnx', name)).length);
    expect(small! / large!).toBeLessThan(0.51);
  });

  it('refuses texts that were not padded to the length of the model', async () => {
    const feeds = { input_ids: whole([5, 1], [1, 2]) };
    await expect(answers(out('onnx', 'text_model.onnx'), feeds)).rejects.toThrow(/Got: 2 Expected: 16/);
  });
});

/** The texts of the test as transformers.js takes them. */
const padded = () => ({ input_ids: new Tensor('int64', ids().data, [...ids().shape]) });

describe('the folder, loaded by transformers.js without a network', () => {
  it('has tokenizer, processor and model that give what transformers gives', async () => {
    env.allowRemoteModels = false;
    env.localModelPath = '';
    const from = { local_files_only: true };
    const tokenizer = await AutoTokenizer.from_pretrained(out(), from);
    const processor = await AutoProcessor.from_pretrained(out(), from);
    const model = await SiglipModel.from_pretrained(out(), { ...from, dtype: 'fp32' });
    const inputs = tokenizer(texts, { padding: 'max_length', truncation: true });
    // transformers.js writes the last sigma of a word as such, and cuts a long text's end off: src/onnx/README.md.
    const rows = inputs.input_ids.tolist().map((row: bigint[]) => row.map(Number)) as number[][];
    const others = rows.flatMap((row, i) => (row.join() === answer.input_ids[i]!.join() ? [] : [texts[i]]));
    expect(others).toEqual(['ΟΔΥΣΣΕΥΣ', expect.stringMatching(/^a very long text/)]);
    const side = exported.model.vision.resolution;
    const pictures = [0, 1, 2].map((i) => {
      const own = exported.images.slice(i * side * side * 3, (i + 1) * side * side * 3);
      return new RawImage(new Uint8ClampedArray(own), side, side, 3);
    });
    const found = await model({ ...inputs, ...(await processor(pictures)) });
    const own = (row: readonly number[]) => row.filter((_, t) => !others.includes(texts[t]));
    const logits = (found.logits_per_image.tolist() as number[][]).flatMap(own);
    expect(apart(logits, answer.logits_per_image.flatMap(own))).toBeLessThan(1e-4);
    await model.dispose();
    const half = await SiglipTextModel.from_pretrained(out(), { ...from, dtype: 'fp16' });
    const { pooler_output } = await half(padded());
    expect(leastCosine(pooler_output.data, words, exported.model.vision.width)).toBeGreaterThan(1 - 1e-4);
    await half.dispose();
  });

  it('finds weights that lie beside a graph', async () => {
    const folder = join(root, 'apart');
    await exportOnnx(source, folder, options({ parts: ['text'], largest: 12_300_000 }));
    expect((await readdir(join(folder, 'onnx'))).sort()).toEqual(['text_model.onnx', 'text_model.onnx_data']);
    const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
    expect(config['transformers.js_config']).toEqual({ use_external_data_format: { 'text_model.onnx': 1 } });
    const from = { local_files_only: true, dtype: 'fp32' as const };
    const model = await SiglipTextModel.from_pretrained(folder, from);
    const { input_ids } = { input_ids: ids() };
    const tokens = new (await import('@huggingface/transformers')).Tensor('int64', input_ids.data, [
      ...input_ids.shape,
    ]);
    const { pooler_output } = await model({ input_ids: tokens });
    expect(leastCosine(pooler_output.data, words, exported.model.vision.width)).toBeGreaterThan(1 - 1e-6);
    await model.dispose();
  });
});

describe('what can not be exported', () => {
  const refused = (path: string, folder: string, more: Partial<OnnxOptions> = {}) =>
    exportOnnx(path, folder, options(more)).then(
      () => 'written',
      (error: Error) => error.message,
    );

  it('is told in a sentence, and nothing is written', async () => {
    const none = join(root, 'none');
    expect(await refused(source, out())).toBe(`${out()} is there already; name a folder that is not, or delete it`);
    expect(await refused(source, none, { opset: 17 })).toBe('--opset is 17; allowed: 18, 19, 20, 21, 22, 23');
    const clip = join(root, 'clip');
    await mkdir(clip);
    await writeFile(join(clip, 'config.json'), '{"model_type": "clip"}');
    expect(await refused(clip, none)).toMatch(/model_type is "clip"; allowed: "siglip"/);
    expect(await refused(join(root, 'nowhere'), none)).toMatch(/config.json is missing/);
    expect(existsSync(none) || existsSync(`${none}.part`)).toBe(false);
  });
});
