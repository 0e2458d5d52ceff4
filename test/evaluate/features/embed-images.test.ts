import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeMaskedScenes } from '../../../infra/emoji/masks.ts';
import { readSelected } from '../../../src/data/example/read-selected.ts';
import { indexData } from '../../../src/data/index/index-data.ts';
import type { DataIndex } from '../../../src/data/index/types.ts';
import { naflexShape } from '../../../src/data/views/naflex-resize.ts';
import { densePictures } from '../../../src/evaluate/dense/pictures.ts';
import { knnSegmentationSettings } from '../../../src/evaluate/evaluators/dense-settings.ts';
import type { FigureJob } from '../../../src/evaluate/evaluators/job.ts';
import { runFigure } from '../../../src/evaluate/evaluators/run-figure.ts';
import { embedImages } from '../../../src/evaluate/features/embed-images.ts';
import { FeatureSet } from '../../../src/evaluate/features/feature-set.ts';
import { PartFile } from '../../../src/evaluate/features/part-file.ts';
import { type ImageSpec, specHash } from '../../../src/evaluate/features/spec.ts';
import { type FeatureModel, openFeatureModel } from '../../../src/model/features.ts';
import { tinyModel, tinyTensors, writeFolder } from '../../checkpoint/hugging-face/tiny-folder.ts';
import { MemoryStore } from '../../data/memory-store.ts';
import { tarOf } from '../../data/tar-file.ts';

const config = { ...tinyModel, vision: { ...tinyModel.vision, kind: 'naflex' as const } };
const store = new MemoryStore();
let folder: string;
let model: FeatureModel;
let index: DataIndex;
let set: FeatureSet;
let part: PartFile;

const spec = (): ImageSpec => ({
  model: { sha256: 'a'.repeat(64), config },
  data: { fingerprint: index.fingerprint, read: null },
  sample: { of: index.examples, examples: index.examples, seed: 0 },
  views: [6],
  resize: 'antialias',
  patches: true,
  pixels: ['mask'],
  grid: true,
  aligned: true,
  perPart: 100,
  captions: null,
  text: { case: 'lower' },
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-embed-'));
  await writeFolder(folder, tinyTensors(config), { model: config });
  model = await openFeatureModel(folder, config, { sizes: [6], patches: true, aligned: true });
  const { train } = await makeMaskedScenes(store, { prefix: 'd', scenes: 3, concepts: 16 });
  const scene = store.objects.get('d/train/scenes-00000.tar')!;
  // One picture more without a mask, twice as wide as high.
  const { default: sharp } = await import('sharp');
  const wide = await sharp({ create: { width: 40, height: 20, channels: 3, background: '#123' } })
    .png()
    .toBuffer();
  const more = tarOf([
    { name: 'wide.png', body: wide },
    { name: 'wide.json', body: '{"captions": {}}' },
  ]);
  await store.put('e/0.tar', scene);
  await store.put('e/1.tar', more);
  expect(train).toBe('d/train');
  index = await indexData(store, 'e', undefined, { pixels: ['mask'] });
  const out = join(folder, 'part.safetensors');
  const job = { kind: 'embed', folder, model: config, part: 0, out, codeVersion: '0' } as const;
  const events = { note: () => {}, signal: new AbortController().signal };
  const of = { ...job, of: { images: spec(), indexFile: '' } };
  expect(await embedImages(of, spec(), { model, saying: null }, { store, index }, events)).toMatchObject({
    examples: 4,
    skipped: 0,
  });
  part = await PartFile.open(out, { spec: specHash(spec()), part: 0, key: 'k' });
  set = new FeatureSet([part], config);
});
afterAll(async () => {
  await part.close();
  model.dispose();
  await rm(folder, { recursive: true, force: true });
});

it('a part holds patches with the shape of each picture, and masks as they lie in the shard', async () => {
  const seen: string[] = [];
  for await (const { name, grid, size, truth, patches } of densePictures(set, {
    ...{ view: 6, features: 'patches', truth: 'mask' },
  })) {
    seen.push(name);
    expect([grid.height, grid.width]).toEqual(naflexShape(size.height, size.width, config.vision.patch, 6));
    expect(patches).toHaveLength(grid.height * grid.width * config.vision.width);
    expect(truth).toHaveLength(128 * 128);
    // Paper, two to four figures and their edges.
    expect(new Set(truth).size).toBeGreaterThan(3);
    expect(truth[0]).toBe(0);
  }
  expect(seen).toEqual(['scene-000000', 'scene-000001', 'scene-000002']);
  expect(await part.integers('grid/patches-6')).toEqual(Int32Array.of(2, 2, 2, 2, 2, 2, 2, 3));
  expect(part.facts.examples[3]).toMatchObject({
    name: 'wide',
    faults: { mask: 'mask: there is no mask.png member beside the picture' },
  });
  const names: string[] = [];
  for await (const { name } of readSelected(store, index, [0, 3], () => {})) names.push(name);
  expect(names).toEqual(['scene-000000', 'wide']);
});

it('a figure of masks says at which size it is told, how its scores got there, and what was left out', async () => {
  const files = { spec: spec(), files: [join(folder, 'part.safetensors')] };
  const job: FigureJob = {
    kind: 'figure',
    evaluator: 'knnSegmentation',
    settings: knnSegmentationSettings.parse({ k: 3 }),
    ...{ view: 6, languages: ['en'], seed: 0, test: files, train: files, classes: null, codeVersion: '0' },
    out: join(folder, 'outcomes.safetensors'),
  };
  const figured = await runFigure(job, { note: () => {}, signal: new AbortController().signal });
  const { figures, fingerprint, notes, intervals } = figured!;
  expect(figures).toMatchObject({ examples: 3, left_out: 1, mIoU: expect.any(Number) });
  expect(fingerprint).toMatchObject({
    'image.masks': 'own size, 128 x 128',
    'image.view': 'patches-6',
    'knnSegmentation.resolution': 'own size of each mask, scores brought to it bilinearly',
    'train.overlap': 4,
  });
  expect(notes.at(-1)).toBe(
    '1 picture left out, the first "wide": mask: there is no mask.png member beside the picture',
  );
  expect(Object.keys(intervals)).toEqual(['aAcc', 'mIoU']);
});

it('a patch alone is what the MAP head makes of a picture that has that patch only', async () => {
  const { width } = config.vision;
  const one = await openFeatureModel(folder, config, { sizes: [1], patches: true, aligned: true });
  const shape: [number, number] = [1, 1];
  const patches = Uint8Array.from({ length: 3 * config.vision.patch ** 2 }, (_, i) => 20 * i);
  const found = one.lengths(1, [{ patches, mask: Float32Array.of(1), spatialShape: shape }]);
  one.dispose();
  expect(found.aligned).toHaveLength(width);
  for (const [k, value] of found.pooled.entries()) expect(found.aligned![k]).toBeCloseTo(value, 5);
  expect(found.aligned).not.toEqual(found.patches);
});
