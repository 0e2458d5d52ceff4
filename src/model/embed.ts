import { join } from 'node:path';
import { SafetensorsFile } from '../checkpoint/safetensors.ts';
import { compile, type Values } from '../compile/program.ts';
import { l2Normalise } from './layers.ts';
import { parameterSpecs, tokenTable } from './parameters.ts';
import { embeddingWidth, type ModelConfig } from './sizes.ts';
import { textTower } from './text-tower.ts';
import { normalisePixels, visionTower } from './vision-tower.ts';

/** A trained model, ready to embed. Rows come out normalised: cosines are dot products. */
export interface Embedder {
  /** exp(logit_scale) and logit_bias. */
  readonly temperature: number;
  readonly logitBias: number;
  /** (n, R, R, 3) bytes -> (n, E) */
  images(pixels: Uint8Array): Float32Array;
  /** (n, L) full token ids -> (n, E). Every id must be among those the embedder was opened with. */
  texts(tokens: Int32Array): Float32Array;
  dispose(): void;
}

const batch = 64;

/**
 * Opens `model.safetensors` below `folder` for embedding. Of the 256,000-row token table only the rows of
 * `tokenIds` are read (ascending, distinct). CheckpointDamaged when a tensor is missing or has another shape.
 */
export async function openEmbedder(
  folder: string,
  config: ModelConfig,
  tokenIds: readonly number[],
): Promise<Embedder> {
  const compact: ModelConfig = { ...config, text: { ...config.text, vocabulary: tokenIds.length } };
  const specs = parameterSpecs(compact);
  const values: Record<string, Values[string]> = {};
  const file = await SafetensorsFile.open(join(folder, 'model.safetensors'));
  try {
    for (const { name, shape } of specs) {
      values[name] =
        name === tokenTable
          ? new Float32Array((await file.readRows(name, tokenIds)).buffer)
          : await file.readFloats(name, shape);
    }
  } finally {
    await file.close();
  }
  const { resolution } = config.vision;
  const { length } = config.text;
  const program = compile({
    state: Object.fromEntries(specs.map(({ name, shape }) => [name, { shape, dtype: 'float32' }])),
    signatures: {
      images: {
        feeds: { bytes: { shape: [batch, resolution, resolution, 3], dtype: 'uint8' } },
        run: (p, { bytes }) => {
          const pixels = normalisePixels(bytes!);
          return { outputs: { rows: l2Normalise(visionTower(p, compact, pixels).pooled) } };
        },
      },
      texts: {
        feeds: { tokens: { shape: [batch, length], dtype: 'int32' } },
        run: (p, { tokens }) => ({ outputs: { rows: l2Normalise(textTower(p, compact, tokens!).pooled) } }),
      },
    },
  });
  program.write(values);

  const width = embeddingWidth(config);
  const rowOf = new Map(tokenIds.map((id, row) => [id, row]));
  /** Whole batches through the graph; the last one is filled up with zeros that are cut off again. */
  const inBatches = <T extends Uint8Array | Int32Array>(
    signature: string,
    feed: string,
    rowSize: number,
    all: T,
    part: T,
  ) => {
    const count = all.length / rowSize;
    const rows = new Float32Array(count * width);
    for (let first = 0; first < count; first += batch) {
      part.fill(0);
      part.set(all.subarray(first * rowSize, (first + batch) * rowSize));
      const result = program.run(signature, { [feed]: part }).rows as Float32Array;
      rows.set(result.subarray(0, (Math.min(count, first + batch) - first) * width), first * width);
    }
    return rows;
  };
  return {
    temperature: Math.exp(values.logit_scale![0]!),
    logitBias: values.logit_bias![0]!,
    images(pixels) {
      const size = resolution * resolution * 3;
      return inBatches('images', 'bytes', size, pixels, new Uint8Array(batch * size));
    },
    texts(tokens) {
      const rows = tokens.map((id) => {
        const row = rowOf.get(id);
        if (row === undefined) throw new Error(`token ${id} is not among those that the embedder was opened with`);
        return row;
      });
      return inBatches('texts', 'tokens', length, rows, new Int32Array(batch * length));
    },
    dispose: () => program.dispose(),
  };
}
