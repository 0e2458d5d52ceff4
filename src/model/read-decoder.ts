import { join } from 'node:path';
import type { Values } from '../compile/definition.ts';
import { SafetensorsFile } from '../safetensors/safetensors.ts';
import { type DecoderSize, decoderSpecs } from './decoder-parameters.ts';
import type { ModelConfig } from './sizes.ts';

/** A trained decoder on the host. */
export interface DecoderWeights {
  /** The model with a vocabulary of the decoder's own size. */
  readonly config: ModelConfig;
  /** Sorted ids that its tables have rows of; null: all. */
  readonly ids: readonly number[] | null;
  readonly values: Values;
}

const logits = 'decoder.lm_head.weight';

/** The decoder in these files of training state below `folder`. CheckpointDamaged where a tensor is missing or has another shape. */
export async function readDecoder(
  folder: string,
  files: readonly string[],
  config: ModelConfig,
  size: DecoderSize,
): Promise<DecoderWeights> {
  const open: SafetensorsFile[] = [];
  try {
    for (const path of files) open.push(await SafetensorsFile.open(join(folder, path)));
    const holding = (name: string) => open.find(({ tensors }) => tensors.has(name)) ?? open[0]!;
    const vocabulary = holding(logits).info(logits).shape[0]!;
    const compact: ModelConfig = { ...config, text: { ...config.text, vocabulary } };
    const values: Record<string, Float32Array> = {};
    for (const { name, shape } of decoderSpecs(compact, size))
      values[name] = await holding(name).readFloats(name, shape);
    const named = open.find(({ tensors }) => tensors.has('vocabulary'));
    const ids = named ? [...new Int32Array((await named.read('vocabulary')).buffer)] : null;
    return { config: compact, ids, values };
  } finally {
    for (const file of open) await file.close();
  }
}
