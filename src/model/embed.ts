import { join } from 'node:path';
import type { ProgramDefinition, Signature, Values } from '../compile/definition.ts';
import { l2Normalise } from '../compile/ops/l2-normalise.ts';
import { compile } from '../compile/program.ts';
import { SafetensorsFile } from '../safetensors/safetensors.ts';
import { naflexTower, normalisePatches } from './naflex-tower.ts';
import { parameterSpecs, tokenTable } from './parameters.ts';
import { embeddingWidth, type ModelConfig } from './sizes.ts';
import { textTower } from './text-tower.ts';
import { normalisePixels, visionTower } from './vision-tower.ts';

/** An image of any shape as patches, padded: (L, p p 3) bytes, (L) 1 where a patch is, and its (h, w) in patches. */
export interface PatchedImage {
  readonly patches: Uint8Array;
  readonly mask: Float32Array;
  readonly spatialShape: readonly [number, number];
}

/** A trained model, ready to embed. Rows come out normalised: cosines are dot products. */
export interface Embedder {
  readonly logitScale: number;
  /** exp(logit_scale). */
  readonly temperature: number;
  readonly logitBias: number;
  /** A fixed model: (n, R, R, 3) bytes -> (n, E). */
  images(pixels: Uint8Array): Float32Array;
  /** A NaFlex model: n images of any shapes, each as patches, padded as it was opened for -> (n, E). */
  patches(images: readonly PatchedImage[]): Float32Array;
  /** (n, L) full token ids -> (n, E). Every id must be among those the embedder was opened with. */
  texts(tokens: Int32Array): Float32Array;
  dispose(): void;
}

/** Rows of a batch; fewer when NaFlex images have more than the paper's 256 patches, whose attention is quadratic. */
const rowsOfBatch = 64;

/** Rows of one call. */
export const rowsOf = (patches: number) =>
  Math.min(rowsOfBatch, Math.max(1, Math.floor((rowsOfBatch * 256) / patches)));

/** What an embedder compiles: the towers of a model, without any training. */
export function embedderDefinition(config: ModelConfig, patches: number): ProgramDefinition {
  const { resolution, patch } = config.vision;
  const { length } = config.text;
  const batch = rowsOf(patches);
  const fixed: Signature = {
    feeds: { bytes: { shape: [batch, resolution, resolution, 3], dtype: 'uint8' } },
    run: (p, { bytes }) => ({
      outputs: { rows: l2Normalise(visionTower(p, config, normalisePixels(bytes!)).pooled) },
    }),
  };
  const naflex: Signature = {
    feeds: {
      bytes: { shape: [batch, patches, 3 * patch ** 2], dtype: 'uint8' },
      mask: { shape: [batch, patches], dtype: 'float32' },
      spatialShapes: { shape: [batch, 2], dtype: 'int32' },
    },
    run: (p, { bytes, mask, spatialShapes }) => {
      const input = normalisePatches(bytes!, mask!);
      return { outputs: { rows: l2Normalise(naflexTower(p, config, input, mask!, spatialShapes!).pooled) } };
    },
  };
  return {
    state: Object.fromEntries(parameterSpecs(config).map(({ name, shape }) => [name, { shape, dtype: 'float32' }])),
    signatures: {
      ...(config.vision.kind === 'naflex' ? { patches: naflex } : { images: fixed }),
      texts: {
        feeds: { tokens: { shape: [batch, length], dtype: 'int32' } },
        run: (p, { tokens }) => ({ outputs: { rows: l2Normalise(textTower(p, config, tokens!).pooled) } }),
      },
    },
  };
}

/**
 * The parameters of `model.safetensors` below `folder`, and the model with a token table of the rows of `tokenIds` alone
 * (ascending, distinct). CheckpointDamaged when a tensor is missing or has another shape.
 */
export async function readWeights(
  folder: string,
  config: ModelConfig,
  tokenIds: readonly number[],
): Promise<{ readonly compact: ModelConfig; readonly values: Values }> {
  const compact: ModelConfig = { ...config, text: { ...config.text, vocabulary: tokenIds.length } };
  const values: Record<string, Values[string]> = {};
  const file = await SafetensorsFile.open(join(folder, 'model.safetensors'));
  try {
    for (const { name, shape } of parameterSpecs(compact)) {
      values[name] =
        name === tokenTable
          ? new Float32Array((await file.readRows(name, tokenIds)).buffer)
          : await file.readFloats(name, shape);
    }
  } finally {
    await file.close();
  }
  return { compact, values };
}

/**
 * Opens `model.safetensors` below `folder` for embedding. Of the 256,000-row token table only the rows of
 * `tokenIds` are read (ascending, distinct). NaFlex images are padded to `patches` patches.
 * CheckpointDamaged when a tensor is missing or has another shape.
 */
export async function openEmbedder(
  folder: string,
  config: ModelConfig,
  tokenIds: readonly number[],
  { patches = 256 }: { readonly patches?: number } = {},
): Promise<Embedder> {
  const { compact, values } = await readWeights(folder, config, tokenIds);
  const { resolution, patch } = config.vision;
  const { length } = config.text;
  const batch = rowsOf(patches);
  const patchSize = 3 * patch ** 2;
  const program = compile(embedderDefinition(compact, patches));
  program.write(values);

  const width = embeddingWidth(config);
  const rowOf = new Map(tokenIds.map((id, row) => [id, row]));
  /** `count` rows in whole batches through the graph; `part` gives the feeds of those from `first` to `end`. */
  const inBatches = (signature: string, count: number, part: (first: number, end: number) => Values) => {
    const rows = new Float32Array(count * width);
    for (let first = 0; first < count; first += batch) {
      const end = Math.min(count, first + batch);
      const result = program.run(signature, part(first, end)).rows as Float32Array;
      rows.set(result.subarray(0, (end - first) * width), first * width);
    }
    return rows;
  };
  return {
    logitScale: values.logit_scale![0]!,
    temperature: Math.exp(values.logit_scale![0]!),
    logitBias: values.logit_bias![0]!,
    images(pixels) {
      const size = resolution * resolution * 3;
      const bytes = new Uint8Array(batch * size);
      return inBatches('images', pixels.length / size, (first, end) => {
        bytes.set(pixels.subarray(first * size, end * size));
        return { bytes };
      });
    },
    patches(images) {
      const bytes = new Uint8Array(batch * patches * patchSize);
      const mask = new Float32Array(batch * patches);
      // What fills up the last batch is of some shape as well.
      const spatialShapes = new Int32Array(batch * 2).fill(1);
      return inBatches('patches', images.length, (first, end) => {
        for (const [i, image] of images.slice(first, end).entries()) {
          if (image.mask.length !== patches) {
            throw new Error(
              `an image is padded to ${image.mask.length} patches; the embedder was opened for ${patches}`,
            );
          }
          bytes.set(image.patches, i * patches * patchSize);
          mask.set(image.mask, i * patches);
          spatialShapes.set(image.spatialShape, i * 2);
        }
        return { bytes, mask, spatialShapes };
      });
    },
    texts(tokens) {
      const part = new Int32Array(batch * length);
      return inBatches('texts', tokens.length / length, (first, end) => {
        for (const [i, id] of tokens.subarray(first * length, end * length).entries()) {
          const row = rowOf.get(id);
          if (row === undefined) throw new Error(`token ${id} is not among those that the embedder was opened with`);
          part[i] = row;
        }
        return { tokens: part };
      });
    },
    dispose: () => program.dispose(),
  };
}
