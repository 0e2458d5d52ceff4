import { join } from 'node:path';
import type { Values } from '../compile/definition.ts';
import { SafetensorsFile } from '../safetensors/safetensors.ts';
import { type DecoderSize, decoderDepth, decoderSpecs } from './decoder-parameters.ts';
import type { ModelConfig } from './sizes.ts';

/** A trained decoder on the host. */
export interface DecoderWeights {
  /** The model with a vocabulary of the decoder's own size. */
  readonly config: ModelConfig;
  /** Sorted ids that its tables have rows of; null: all. */
  readonly ids: readonly number[] | null;
  readonly values: Values;
}

/** The same in files that are open: of each parameter which holds it. */
export interface FiledDecoder extends Pick<DecoderWeights, 'config' | 'ids'>, DecoderSize {
  readonly places: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly file: SafetensorsFile;
  }[];
}

/** The parameter that only a decoder has, by which one is known. */
export const decoderLogits = 'decoder.lm_head.weight';

/**
 * The decoder in files of training state, one or more. CheckpointDamaged where a tensor is missing or has another shape.
 *
 * @param size as the files have it, where it is not given
 */
export async function decoderIn(
  files: readonly SafetensorsFile[],
  config: ModelConfig,
  { depth }: DecoderSize = { depth: decoderDepth(files.flatMap(({ tensors }) => [...tensors.keys()])) },
): Promise<FiledDecoder> {
  const holding = (name: string) => files.find(({ tensors }) => tensors.has(name)) ?? files[0]!;
  const vocabulary = holding(decoderLogits).info(decoderLogits).shape[0]!;
  const compact: ModelConfig = { ...config, text: { ...config.text, vocabulary } };
  const places = decoderSpecs(compact, { depth }).map(({ name, shape }) => {
    const file = holding(name);
    file.floats(name, shape);
    return { name, shape, file };
  });
  const named = files.find(({ tensors }) => tensors.has('vocabulary'));
  const ids = named ? [...new Int32Array((await named.read('vocabulary')).buffer)] : null;
  return { config: compact, ids, depth, places };
}

/** The decoder in these files of training state below `folder`. CheckpointDamaged where a tensor is missing or has another shape. */
export async function readDecoder(
  folder: string,
  files: readonly string[],
  model: ModelConfig,
  size: DecoderSize,
): Promise<DecoderWeights> {
  const open: SafetensorsFile[] = [];
  try {
    for (const path of files) open.push(await SafetensorsFile.open(join(folder, path)));
    const { config, ids, places } = await decoderIn(open, model, size);
    const values: Record<string, Float32Array> = {};
    for (const { name, file } of places) values[name] = await file.readFloats(name);
    return { config, ids, values };
  } finally {
    for (const file of open) await file.close();
  }
}
