import type { ProgramDefinition, Signature, Values } from '../compile/definition.ts';
import { l2Normalise } from '../compile/ops/l2-normalise.ts';
import { compile } from '../compile/program.ts';
import { type PatchedImage, readWeights, rowsOf } from './embed.ts';
import type { Parameters } from './layers.ts';
import { naflexTower, normalisePatches } from './naflex-tower.ts';
import { parameterSpecs } from './parameters.ts';
import { embeddingWidth, type ModelConfig, wholeVocabulary } from './sizes.ts';
import { textTower } from './text-tower.ts';
import { mapHead, normalisePixels, visionTower } from './vision-tower.ts';

// Letters: n pictures, N patches of one (NaFlex: as many as it is padded to), D width of the tower, L tokens, E = D.

/** What a model makes of pictures, before anything is normalised. */
export interface ImageFeatures {
  /** (n, D) output of the MAP head: `pooler_output`. */
  readonly pooled: Float32Array;
  /** (n, N, D) `last_hidden_state`; absent where it was not asked for. */
  readonly patches?: Float32Array;
  /**
   * (n, N, D) the MAP head with each patch as the only one: its value and output projections and its MLP, so that the patch lies
   * where texts do, as MaskCLIP has it (arXiv 2112.01071); absent where it was not asked for.
   */
  readonly aligned?: Float32Array;
}

/** A trained model that shows its features at several sizes of its pictures. */
export interface FeatureModel {
  /** A fixed model: (n, R, R, 3) bytes, R one of `sizes`. */
  squares(resolution: number, pixels: Uint8Array): ImageFeatures;
  /** A NaFlex model: each picture padded to a length that is one of `sizes`. */
  lengths(length: number, images: readonly PatchedImage[]): ImageFeatures;
  /** (n, L) ids -> (n, E) rows of length 1, or as the model makes them where it was opened so. */
  texts(tokens: Int32Array): Float32Array;
  dispose(): void;
}

export interface FeatureOptions {
  /** Resolutions of a fixed model, lengths of a NaFlex one. */
  readonly sizes: readonly number[];
  /** Whether each patch is told too: 196 times as much as the pooled feature at 224 pixels and patches of 16. */
  readonly patches: boolean;
  readonly aligned?: boolean;
  /** Whether texts are as the model makes them, and not of length 1. */
  readonly rawTexts?: boolean;
}

/** Patches of a square picture at a resolution; what does not fill a patch is cut off. */
export const patchesAt = ({ vision: { patch } }: ModelConfig, resolution: number): number =>
  Math.floor(resolution / patch) ** 2;

/** What is compiled: a signature for each size, and one for texts. */
export function featureDefinition(
  config: ModelConfig,
  { sizes, patches, aligned, rawTexts }: FeatureOptions,
): ProgramDefinition {
  const { patch, width, kind } = config.vision;
  const naflex = kind === 'naflex';
  const signatures: Record<string, Signature> = {};
  for (const size of sizes) {
    const [length, batch] = batchAt(config, size);
    const told = (p: Parameters, vision: ReturnType<typeof visionTower>) => {
      // Of a single patch attention makes nothing but its value.
      const alone = aligned && mapHead(p, 'vision_model.head', vision.encoded, batch * length, config.vision.heads);
      return {
        outputs: {
          pooled: vision.pooled,
          ...(patches && { patches: vision.encoded.reshape([batch, length, width]) }),
          ...(alone && { aligned: alone.reshape([batch, length, width]) }),
        },
      };
    };
    signatures[`at${size}`] = naflex
      ? {
          feeds: {
            bytes: { shape: [batch, length, 3 * patch ** 2], dtype: 'uint8' },
            mask: { shape: [batch, length], dtype: 'float32' },
            spatialShapes: { shape: [batch, 2], dtype: 'int32' },
          },
          run: (p, { bytes, mask, spatialShapes }) =>
            told(p, naflexTower(p, config, normalisePatches(bytes!, mask!), mask!, spatialShapes!)),
        }
      : {
          feeds: { bytes: { shape: [batch, size, size, 3], dtype: 'uint8' } },
          run: (p, { bytes }) => told(p, visionTower(p, config, normalisePixels(bytes!))),
        };
  }
  return {
    state: Object.fromEntries(parameterSpecs(config).map(({ name, shape }) => [name, { shape, dtype: 'float32' }])),
    signatures: {
      ...signatures,
      texts: {
        feeds: { tokens: { shape: [textsAtOnce, config.text.length], dtype: 'int32' } },
        run: (p, { tokens }) => {
          const { pooled } = textTower(p, config, tokens!);
          return { outputs: { rows: rawTexts ? pooled : l2Normalise(pooled) } };
        },
      },
    },
  };
}

const textsAtOnce = 64;

/** Patches of a picture at a size, and pictures of a batch. */
function batchAt(config: ModelConfig, size: number): [number, number] {
  const length = config.vision.kind === 'naflex' ? size : patchesAt(config, size);
  return [length, rowsOf(length)];
}

/** Opens `model.safetensors` below `folder` with its whole token table. CheckpointDamaged when a tensor is missing. */
export async function openFeatureModel(
  folder: string,
  config: ModelConfig,
  options: FeatureOptions,
): Promise<FeatureModel> {
  const ids = Array.from({ length: wholeVocabulary(config.text) }, (_, id) => id);
  const { compact, values } = await readWeights(folder, config, ids);
  const program = compile(featureDefinition(compact, options));
  program.write(values);
  const width = embeddingWidth(config);
  const { patch } = config.vision;
  const { length: tokensOfText } = config.text;

  /** `count` rows in whole batches; `feeds` gives those from `first` to `end`. */
  const inBatches = (
    signature: string,
    count: number,
    batch: number,
    sizes: Readonly<Record<string, number>>,
    feeds: (first: number, end: number) => Values,
  ) => {
    const all = Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, new Float32Array(count * size)]));
    for (let first = 0; first < count; first += batch) {
      const end = Math.min(count, first + batch);
      const found = program.run(signature, feeds(first, end));
      for (const [name, size] of Object.entries(sizes))
        all[name]!.set((found[name] as Float32Array).subarray(0, (end - first) * size), first * size);
    }
    return all;
  };
  const features = (size: number, count: number, feeds: (first: number, end: number) => Values): ImageFeatures => {
    const [length, batch] = batchAt(config, size);
    const sizes = {
      pooled: width,
      ...(options.patches && { patches: length * width }),
      ...(options.aligned && { aligned: length * width }),
    };
    return inBatches(`at${size}`, count, batch, sizes, feeds) as unknown as ImageFeatures;
  };
  return {
    squares(resolution, pixels) {
      const [, batch] = batchAt(config, resolution);
      const size = resolution * resolution * 3;
      const bytes = new Uint8Array(batch * size);
      return features(resolution, pixels.length / size, (first, end) => {
        bytes.set(pixels.subarray(first * size, end * size));
        return { bytes };
      });
    },
    lengths(length, images) {
      const [, batch] = batchAt(config, length);
      const size = length * 3 * patch ** 2;
      const bytes = new Uint8Array(batch * size);
      const mask = new Float32Array(batch * length);
      // What fills up the last batch is of some shape as well.
      const spatialShapes = new Int32Array(batch * 2).fill(1);
      return features(length, images.length, (first, end) => {
        for (const [i, image] of images.slice(first, end).entries()) {
          bytes.set(image.patches, i * size);
          mask.set(image.mask, i * length);
          spatialShapes.set(image.spatialShape, i * 2);
        }
        return { bytes, mask, spatialShapes };
      });
    },
    texts(tokens) {
      const part = new Int32Array(textsAtOnce * tokensOfText);
      const count = tokens.length / tokensOfText;
      const { rows } = inBatches('texts', count, textsAtOnce, { rows: width }, (first, end) => {
        part.set(tokens.subarray(first * tokensOfText, end * tokensOfText));
        return { tokens: part };
      });
      return rows!;
    },
    dispose: () => program.dispose(),
  };
}
