import { trainingFiles } from '../checkpoint/training-files.ts';
import { decoderIn, decoderLogits, type FiledDecoder } from '../model/read-decoder.ts';
import type { ModelConfig } from '../model/sizes.ts';
import { RunnerError } from '../runtime/errors.ts';
import { SafetensorsFile, type TensorToWrite } from '../safetensors/safetensors.ts';

/** The decoder of a checkpoint, which is read when it is written. */
export interface DecoderWeightsFile extends Omit<FiledDecoder, 'places'> {
  readonly tensors: readonly TensorToWrite[];
  close(): Promise<void>;
}

const chunkBytes = 4 * 1024 * 1024;

/**
 * The captioning decoder among the training state of a checkpoint's folder. RecipeInvalid where it has none, as imports and
 * models of other tools; CheckpointDamaged where a tensor is missing or has another shape.
 */
export async function openDecoder(folder: string, config: ModelConfig): Promise<DecoderWeightsFile> {
  const paths = folder.endsWith('.npz') ? [] : await trainingFiles(folder);
  const open: SafetensorsFile[] = [];
  const close = async () => {
    for (const file of open) await file.close();
  };
  try {
    for (const path of paths) open.push(await SafetensorsFile.open(path));
    if (!open.some(({ tensors }) => tensors.has(decoderLogits)))
      throw new RunnerError(
        'RecipeInvalid',
        '--part has decoder, and the model has none; allowed: RUN/PHASE@STEP of a phase whose objectives have captioning, or what pull --training made of it',
      );
    const { places, ...decoder } = await decoderIn(open, config);
    const tensors = places.map(({ name, shape, file }): TensorToWrite => {
      return { name, dtype: 'F32', shape, data: () => file.chunks(name, chunkBytes) };
    });
    return { ...decoder, tensors, close };
  } catch (error) {
    await close();
    throw error;
  }
}
