import type { Values } from '../compile/definition.ts';
import { resampleParameters } from '../model/resample.ts';
import type { ModelConfig } from '../model/sizes.ts';
import { type PositionStretch, stretchPositions } from '../model/stretch-positions.ts';
import { firstMoment, secondMoment, startCopy } from '../optimiser/optimiser.ts';
import { RunnerError } from '../runtime/errors.ts';
import { emaCopy, teacherCopy } from './phase-state.ts';

const embeddings = 'vision_model.embeddings';
const patchEmbedding = `${embeddings}.patch_embedding.weight`;
const textPositions = 'text_model.embeddings.position_embedding.weight';
const positionEmbedding = `${embeddings}.position_embedding.weight`;

type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/**
 * What the towers of a file are to be resampled from: `model`, with the grid, patch size, kind of tower and length of texts that the
 * file's own tensors tell. CheckpointDamaged where they tell of none.
 */
export function storedModel(tensors: Shapes, model: ModelConfig, file: string): ModelConfig {
  const weight = tensors.get(patchEmbedding)?.shape ?? [];
  const patch = weight.length === 4 ? weight[3]! : Math.sqrt(weight[1]! / 3);
  const grid = Math.sqrt(tensors.get(positionEmbedding)?.shape[0] ?? Number.NaN);
  if (!Number.isInteger(patch) || !Number.isInteger(grid)) {
    throw new RunnerError(
      'CheckpointDamaged',
      `${file} has no square ${patchEmbedding} and ${positionEmbedding}; fetch the checkpoint again`,
    );
  }
  const { kind: _, ...vision } = model.vision;
  const kind = weight.length === 4 ? {} : { kind: 'naflex' as const };
  const same = grid === Math.floor(vision.resolution / vision.patch) && patch === vision.patch;
  const [length = model.text.length] = tensors.get(textPositions)?.shape ?? [];
  const text = { ...model.text, length };
  return { ...model, text, vision: { ...vision, patch, resolution: same ? vision.resolution : grid * patch, ...kind } };
}

/**
 * State for another resolution, patch size or kind of tower (spec 4.2): positions and patch embedding resampled, of the
 * student, of the EMA teacher, of the average and of the start; and positions of longer texts stretched. Adam's moments of what was resampled start
 * from zero again. Everything else stays.
 */
export function adaptInput(
  values: Values,
  from: ModelConfig,
  to: ModelConfig,
  stretch: PositionStretch = 'beginning',
): Values {
  const adapted: Record<string, Values[string]> = { ...values };
  for (const key of [(name: string) => name, teacherCopy, startCopy, emaCopy]) {
    // There are copies of a part of the parameters.
    const held = (name: string) => (values[key(name)] ?? values[name]) as Float32Array;
    const changed = { ...resampleParameters(held, from, to), ...stretched(held, from, to, stretch) };
    for (const [name, resampled] of Object.entries(changed)) {
      if (values[key(name)] === undefined) continue;
      adapted[key(name)] = resampled as Float32Array<ArrayBuffer>;
      for (const moment of [firstMoment(name), secondMoment(name)]) {
        if (values[moment] !== undefined) adapted[moment] = new Float32Array(resampled.length);
      }
    }
  }
  return adapted;
}

function stretched(
  held: (name: string) => Float32Array,
  { text: from }: ModelConfig,
  { text: to }: ModelConfig,
  how: PositionStretch,
): Record<string, Float32Array> {
  const table = held(textPositions);
  if (from.length === to.length) return {};
  return { [textPositions]: stretchPositions(table, from.length, to.length, how) };
}
