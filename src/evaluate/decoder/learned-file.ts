import type { Values } from '../../compile/definition.ts';
import { type DecoderSize, decoderSpecs } from '../../model/decoder-parameters.ts';
import type { DecoderWeights } from '../../model/read-decoder.ts';
import type { ModelConfig } from '../../model/sizes.ts';
import { firstMoment, secondMoment } from '../../optimiser/optimiser.ts';
import { PartFile, type PartTensors, writePart } from '../features/part-file.ts';
import type { LearnedTexts } from './lesson.ts';

/** A decoder on its way: what goes on from it has the bytes of one that was never stopped. */
export interface LearningState {
  readonly step: number;
  /** Parameters and moments. */
  readonly values: Values;
}

/** Which tensors a decoder of a vocabulary has, and its moments where it is to go on. */
function shapesOf(config: ModelConfig, size: DecoderSize, moments: boolean): [string, readonly number[]][] {
  return decoderSpecs(config, size).flatMap(({ name, shape }) =>
    [name, ...(moments ? [firstMoment(name), secondMoment(name)] : [])].map((key): [string, readonly number[]] => [
      key,
      shape,
    ]),
  );
}

/** Writes a state, with moments or as the decoder that it came to: equal ones give equal bytes. */
export function writeLearned(
  file: string,
  hash: string,
  { step, values }: LearningState,
  of: { readonly config: ModelConfig; readonly size: DecoderSize; readonly told: LearnedTexts },
  moments: boolean,
): Promise<{ bytes: number; sha256: string }> {
  const tensors: Record<string, PartTensors[string]> = {
    step: { shape: [1], data: Int32Array.of(step) },
    vocabulary: { shape: [of.told.ids.length], data: Int32Array.from(of.told.ids) },
    told: { shape: [2], data: Int32Array.of(of.told.texts.length, of.told.tooLong) },
  };
  for (const [name, shape] of shapesOf(of.config, of.size, moments))
    tensors[name] = { shape, data: values[name] as Float32Array };
  return writePart(file, { spec: hash, part: 0, examples: [], skipped: [] }, tensors);
}

/** What `writeLearned` wrote with moments. DataContract where it is damaged, or is of another lesson. */
export async function readLearning(
  path: string,
  of: { readonly hash: string; readonly key: string },
  config: ModelConfig,
  size: DecoderSize,
): Promise<LearningState> {
  const file = await PartFile.open(path, { spec: of.hash, part: 0, key: of.key });
  try {
    const values: Record<string, Float32Array> = {};
    for (const [name] of shapesOf(config, size, true)) values[name] = await file.floats(name);
    return { step: (await file.integers('step'))[0]!, values };
  } finally {
    await file.close();
  }
}

/** What is to be said of the texts that a decoder has learned from. */
export async function learnedNotes(file: PartFile, length: number): Promise<string[]> {
  const [texts, tooLong] = (await file.integers('told')) as unknown as [number, number];
  return tooLong > 0
    ? [`train: ${tooLong} of ${texts + tooLong} texts have more than ${length} tokens: not learned from`]
    : [];
}

/** A decoder that has learned all it was to learn, out of a file that is open. */
export async function learnedDecoder(file: PartFile, model: ModelConfig, size: DecoderSize): Promise<DecoderWeights> {
  const ids = [...(await file.integers('vocabulary'))];
  const config: ModelConfig = { ...model, text: { ...model.text, vocabulary: ids.length } };
  const values: Record<string, Float32Array> = {};
  for (const [name] of shapesOf(config, size, false)) values[name] = await file.floats(name);
  return { config, ids, values };
}
