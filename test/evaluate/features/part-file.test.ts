import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PartFile, writePart } from '../../../src/evaluate/features/part-file.ts';
import {
  classesOfPart,
  classParts,
  examplesOfPart,
  featureKey,
  type ImageSpec,
  imageParts,
  specHash,
} from '../../../src/evaluate/features/spec.ts';
import { modelOf } from '../feature-files.ts';

const spec: ImageSpec = {
  model: { sha256: 'a'.repeat(64), config: modelOf(768) },
  data: { fingerprint: 'f', read: null },
  sample: { of: 5000, examples: 2100, seed: 0 },
  views: [32],
  resize: 'antialias',
  patches: false,
  perPart: 1024,
  captions: null,
  text: { case: 'lower' },
};
const facts = { spec: specHash(spec), part: 1, examples: [{ shard: 's', name: 'n', concepts: ['c'] }], skipped: [] };
const tensors = {
  hash: { shape: [1, 2], data: Int32Array.of(1, -2) },
  'pooled/px-32': { shape: [1, 3], data: Float32Array.of(1, 2, 3) },
};

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-part-'));
  file = join(folder, 'part.safetensors');
  await writePart(file, facts, tensors);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const of = { spec: specHash(spec), part: 1, key: 'features/x' };
const problemOf = async (bytes: Uint8Array, wanted = of) => {
  const other = join(folder, 'other.safetensors');
  await writeFile(other, bytes);
  return PartFile.open(other, wanted).then(
    () => null,
    (error: Error) => error.message,
  );
};

it('a part comes back as it was written, and is the same bytes whenever it is', async () => {
  const part = await PartFile.open(file, of);
  expect(part.facts).toEqual(facts);
  expect(await part.floats('pooled/px-32')).toEqual(Float32Array.of(1, 2, 3));
  expect(await part.integers('hash')).toEqual(Int32Array.of(1, -2));
  expect([part.shape('hash'), part.has('patches/px-32')]).toEqual([[1, 2], false]);
  await part.close();
  const again = join(folder, 'again.safetensors');
  await writePart(again, facts, { 'pooled/px-32': tensors['pooled/px-32'], hash: tensors.hash });
  expect(await readFile(again)).toEqual(await readFile(file));
});

it('a part that is damaged, cut short or of something else is refused by its key, and what helps is said', async () => {
  const bytes = await readFile(file);
  const damaged = Buffer.from(bytes);
  damaged[damaged.length - 1]! ^= 1;
  const help = '; delete that object and start the evaluation again, which makes them anew';
  expect(await problemOf(damaged)).toBe(`the features features/x have other bytes than were written${help}`);
  expect(await problemOf(bytes.subarray(0, 30))).toBe(`the features features/x are no safetensors file${help}`);
  expect(await problemOf(bytes, { ...of, part: 2 })).toBe(`the features features/x are of another evaluation${help}`);
  expect(await problemOf(bytes)).toBeNull();
});

it('parts have keys by what they are made of, and sizes that neither data nor patches make large', () => {
  expect(imageParts(spec)).toBe(3);
  expect(featureKey(spec, 2)).toBe(`features/aaaaaaaaaaaaaaaa/${specHash(spec).slice(0, 16)}/00000002.safetensors`);
  expect(specHash({ ...spec, text: { case: 'kept' } })).not.toBe(specHash(spec));
  // What was stored before there was truth of pixels is found as ever.
  expect(specHash(spec)).toBe('db32b47d9009144cf94d2f8033c060adfcf9b6ec2ef34eedf78431c82d82bc70');
  expect(examplesOfPart(spec.model.config, [224, 384], false)).toBe(1024);
  // 576 patches of 16 pixels at width 768 in 256 MiB.
  const config = { ...modelOf(768), vision: { ...modelOf(768).vision, patch: 16 } };
  expect(examplesOfPart(config, [384], true)).toBe(Math.floor(2 ** 28 / (4 * 768 * 576)));
  expect(examplesOfPart({ ...config, vision: { ...config.vision, kind: 'naflex' } }, [1024], true)).toBe(85);
  // Masks of half a million pixels, and depth, beside 196 patches: what is said of them in spec.ts.
  const pixels = (kind: 'mask' | 'depth') => examplesOfPart(config, [224], true, { pixels: [kind] });
  expect([examplesOfPart(config, [224], true), pixels('mask'), pixels('depth')]).toEqual([445, 238, 162]);
  expect(examplesOfPart(config, [224], true, { aligned: true })).toBe(222);
  expect(classesOfPart(Array.from({ length: 80 }, (_, i) => `${i} {}`))).toBe(102);
  expect(classParts({ ...spec, names: Array.from({ length: 1000 }, String), templates: [], perPart: 102 })).toBe(10);
});
