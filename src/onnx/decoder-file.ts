import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { decoderSpecs } from '../model/decoder-parameters.ts';
import type { ModelConfig } from '../model/sizes.ts';
import { RunnerError } from '../runtime/errors.ts';
import { SafetensorsFile, type TensorToWrite } from '../safetensors/safetensors.ts';

/** The decoder of a checkpoint, which is read when it is written. */
export interface DecoderWeightsFile {
  /** The model with a vocabulary of the decoder's own size. */
  readonly config: ModelConfig;
  readonly depth: number;
  /** Sorted tokens that its tables have rows of; null: all. */
  readonly ids: readonly number[] | null;
  readonly tensors: readonly TensorToWrite[];
  close(): Promise<void>;
}

const logits = 'decoder.lm_head.weight';
const layer = /^decoder\.layers\.(\d+)\./;
const chunkBytes = 4 * 1024 * 1024;

/**
 * The captioning decoder among the training state of a checkpoint's folder. RecipeInvalid where it has none, as imports and
 * models of other tools; CheckpointDamaged where a tensor is missing or has another shape.
 */
export async function openDecoder(folder: string, config: ModelConfig): Promise<DecoderWeightsFile> {
  const paths = folder.endsWith('.npz') ? [] : (await readdir(folder)).filter((name) => trainingFile.test(name)).sort();
  const open: SafetensorsFile[] = [];
  const close = async () => {
    for (const file of open) await file.close();
  };
  try {
    for (const path of paths) open.push(await SafetensorsFile.open(join(folder, path)));
    const holding = (name: string) => open.find(({ tensors }) => tensors.has(name));
    const head = holding(logits);
    if (!head)
      throw new RunnerError(
        'RecipeInvalid',
        '--part has decoder, and the model has none; allowed: RUN/PHASE@STEP of a phase whose objectives have captioning, or what pull --training made of it',
      );
    const layers = open.flatMap(({ tensors }) => [...tensors.keys()].flatMap((name) => layer.exec(name)?.[1] ?? []));
    const depth = Math.max(...layers.map(Number)) + 1;
    const compact = { ...config, text: { ...config.text, vocabulary: head.info(logits).shape[0]! } };
    const tensors = decoderSpecs(compact, { depth }).map(({ name, shape }): TensorToWrite => {
      const file = holding(name) ?? head;
      const found = file.info(name);
      if (found.dtype !== 'F32' || found.shape.join() !== shape.join())
        throw new RunnerError(
          'CheckpointDamaged',
          `${file.path}: tensor ${name} is ${found.dtype} of shape [${found.shape}], and F32 of [${shape}] was expected; fetch the checkpoint again`,
        );
      return { name, dtype: 'F32', shape, data: () => file.chunks(name, chunkBytes) };
    });
    const named = holding('vocabulary');
    const ids = named ? [...new Int32Array((await named.read('vocabulary')).buffer)] : null;
    return { config: compact, depth, ids, tensors, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const trainingFile = /^training-\d{5}\.safetensors$/;
