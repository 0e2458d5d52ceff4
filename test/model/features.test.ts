import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { naflexPatches } from '../../src/data/views/naflex-resize.ts';
import { unitRows } from '../../src/evaluate/numbers/matrix.ts';
import { openEmbedder } from '../../src/model/embed.ts';
import { type FeatureModel, openFeatureModel } from '../../src/model/features.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tinyModel, tinyTensors, writeFolder } from '../checkpoint/hugging-face/tiny-folder.ts';

const naflexModel: ModelConfig = { ...tinyModel, vision: { ...tinyModel.vision, kind: 'naflex' } };
const { width, patch, resolution } = tinyModel.vision;
const random = randomStream(9, 'pictures');
const bytes = (count: number) => Uint8Array.from({ length: count }, () => random.below(256));
const tokens = Int32Array.of(17, 4, 1, 0, 255_999, 9, 9, 1);

let folder: string;
let fixed: FeatureModel;
let naflex: FeatureModel;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-features-'));
  await writeFolder(join(folder, 'fixed'), tinyTensors());
  await writeFolder(join(folder, 'naflex'), tinyTensors(naflexModel), { model: naflexModel });
  fixed = await openFeatureModel(join(folder, 'fixed'), tinyModel, { sizes: [resolution, 7], patches: true });
  naflex = await openFeatureModel(join(folder, 'naflex'), naflexModel, { sizes: [4, 9], patches: false });
});
afterAll(async () => {
  fixed.dispose();
  naflex.dispose();
  await rm(folder, { recursive: true, force: true });
});

const close = (found: Float32Array, expected: Float32Array) => {
  expect(found).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(found[i]).toBeCloseTo(value, 5);
};

describe('the features of a model', () => {
  it('of squares and of texts are, at length 1, what an embedder gives, over several batches', async () => {
    const embedder = await openEmbedder(join(folder, 'fixed'), tinyModel, [0, 1, 4, 9, 17, 255_999]);
    const pixels = bytes(70 * resolution * resolution * 3);
    const { pooled, patches } = fixed.squares(resolution, pixels);
    close(unitRows({ width, rows: pooled }).rows, embedder.images(pixels));
    close(fixed.texts(tokens), embedder.texts(tokens));
    embedder.dispose();
    // Pooled features come as they are: few-shot probes want them so.
    expect(Math.hypot(...pooled.subarray(0, width))).not.toBeCloseTo(1, 2);
    expect(patches).toHaveLength(70 * (resolution / patch) ** 2 * width);
    // The same picture has the same features at any place of a batch.
    const last = fixed.squares(resolution, pixels.subarray(-resolution * resolution * 3));
    close(last.patches!, patches!.subarray(-last.patches!.length));
  });

  it('of another resolution have as many patches as fit, without those of the stored one changing', () => {
    const { pooled, patches } = fixed.squares(7, bytes(2 * 7 * 7 * 3));
    expect(pooled).toHaveLength(2 * width);
    // 7 pixels hold 3 patches of 2: what is left over is cut off.
    expect(patches).toHaveLength(2 * 9 * width);
    const pixels = bytes(7 * 7 * 3);
    const cut = pixels.slice();
    for (let row = 0; row < 7; row++) for (let c = 0; c < 3; c++) cut[(row * 7 + 6) * 3 + c] = 0;
    close(fixed.squares(7, cut).pooled, fixed.squares(7, pixels).pooled);
  });

  it('of NaFlex pictures are those of an embedder that was opened for that length, at each length', async () => {
    const picture = { width: 14, height: 5, data: bytes(14 * 5 * 3) };
    for (const length of [4, 9]) {
      const embedder = await openEmbedder(join(folder, 'naflex'), naflexModel, [0, 1], { patches: length });
      const prepared = [naflexPatches(picture, patch, length)];
      const { pooled, patches } = naflex.lengths(length, prepared);
      expect(patches).toBeUndefined();
      close(unitRows({ width, rows: pooled }).rows, embedder.patches(prepared));
      embedder.dispose();
    }
  });
});
