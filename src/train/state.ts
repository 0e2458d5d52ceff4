import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readModelConfig } from '../checkpoint/hugging-face/read-config.ts';
import { checkpointSha256 } from '../checkpoint/identity.ts';
import type { StateFile } from '../checkpoint/types.ts';
import type { Values } from '../compile/definition.ts';
import { initialise } from '../model/initialise.ts';
import { tokenTable } from '../model/parameters.ts';
import { fullVocabulary, type ModelConfig } from '../model/sizes.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { RunnerError } from '../runtime/errors.ts';
import { tensorBytes } from '../safetensors/dtypes.ts';
import {
  inFileOrder,
  SafetensorsFile,
  scatterRows,
  type TensorToWrite,
  writeSafetensors,
} from '../safetensors/safetensors.ts';
import { adaptInput, storedModel } from './adapt-input.ts';
import { firstMoment, secondMoment } from './optimiser.ts';
import { checkObjectives, checkTowers, otherShape } from './parent-state.ts';
import { computedState, type PhaseState, phaseState, teacherCopy } from './phase-state.ts';
import { type ReadPieces, readInOrder } from './pieces.ts';

/**
 * The state of training as files. `model.safetensors` is what Hugging Face loads: the two towers, with the token
 * table always of 256,000 rows. `training-*.safetensors` holds what only training needs.
 */
export const modelFile = 'model.safetensors';
const trainingFile = /^training-\d{5}\.safetensors$/;
const largestTrainingFile = 2 ** 30;

const zeros = ({ shape }: { readonly shape: readonly number[] }) => new Float32Array(shape.reduce((a, b) => a * b, 1));

/** Step 0: parameters by their initialisers, moments zero, the teacher a copy of the student. */
export function freshState(settings: PhaseSettings): Values {
  return completed(settings, phaseState(settings), {});
}

/**
 * What a state lacks, fresh: a pure function of the seed and the name. A teacher that is new copies the student as it
 * now is (spec 3.5).
 */
function completed(settings: PhaseSettings, phase: PhaseState, held: Values): Values {
  const values: Record<string, Values[string]> = { ...held };
  for (const spec of phase.parameters) {
    values[spec.name] ??= initialise(settings.seed, spec);
    for (const key of [firstMoment(spec.name), secondMoment(spec.name)]) values[key] ??= zeros(spec);
  }
  for (const { name } of phase.taught) values[teacherCopy(name)] ??= values[name]!.slice();
  for (const spec of phase.computed) values[computedState(spec.name)] ??= zeros(spec).fill(spec.value);
  return values;
}

const bytesOf = (values: Values[string]) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** Writes a state that is in memory below `folder`, as `streamState` does. */
export function writeState(
  folder: string,
  settings: PhaseSettings,
  state: Values,
  beside: readonly TensorToWrite[] = [],
): Promise<{ state: StateFile[]; sha256: string }> {
  const read = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, state[name]!]));
  return streamState(folder, settings, read, beside);
}

/**
 * Writes the state below `folder`, piece by piece: see `pieces.ts` for what is in memory meanwhile. Equal state gives
 * equal bytes, and so an equal sha256.
 *
 * @param beside pieces that the graph does not hold
 */
export async function streamState(
  folder: string,
  settings: PhaseSettings,
  read: ReadPieces,
  beside: readonly TensorToWrite[] = [],
): Promise<{ state: StateFile[]; sha256: string }> {
  const { towers, pieces } = phaseState(settings);
  const { vocabulary } = settings.batches;
  const inModel = new Set(towers.map(({ name }) => name));
  let piece: (name: string) => Values[string];
  const streamed = (name: string, shape: readonly number[]): TensorToWrite => ({
    name,
    dtype: 'F32',
    shape,
    data: () => [bytesOf(piece(name))],
  });
  const model = towers.map(({ name, shape }): TensorToWrite => {
    if (name !== tokenTable || vocabulary === null) return streamed(name, shape);
    return {
      name,
      dtype: 'F32',
      shape: [fullVocabulary, shape[1]!],
      data: () => scatterRows(bytesOf(piece(name)), vocabulary, fullVocabulary),
    };
  });
  const training = Object.entries(pieces).flatMap(([name, { shape }]) =>
    inModel.has(name) ? [] : [streamed(name, shape)],
  );
  if (vocabulary !== null) {
    const data = bytesOf(Int32Array.from(vocabulary));
    training.push({ name: 'vocabulary', dtype: 'I32', shape: [vocabulary.length], data });
  }
  const files: [string, TensorToWrite[]][] = [
    [modelFile, model],
    ...inFiles([...training, ...beside]).map((tensors, i): [string, TensorToWrite[]] => [
      `training-${String(i + 1).padStart(5, '0')}.safetensors`,
      tensors,
    ]),
  ];
  const order = files.flatMap(([, tensors]) => inFileOrder(tensors).map(({ name }) => name));
  const ofState = order.filter((name) => pieces[name] !== undefined);
  piece = readInOrder(
    ofState.map((name) => [name, tensorBytes('F32', pieces[name]!.shape)]),
    read,
  );
  const written: StateFile[] = [];
  for (const [path, tensors] of files) {
    // A snapshot lives until it is uploaded; after a power loss nobody looks for it.
    written.push({ path, ...(await writeSafetensors(join(folder, path), tensors, { sync: false })) });
  }
  return { state: written, sha256: checkpointSha256(written) };
}

/** Files of about a GiB: tools and stores are at their best below that. */
function inFiles(tensors: readonly TensorToWrite[]): TensorToWrite[][] {
  const files: TensorToWrite[][] = [[]];
  let size = 0;
  for (const tensor of tensors) {
    const bytes = tensorBytes(tensor.dtype, tensor.shape);
    if (size > 0 && size + bytes > largestTrainingFile) {
      files.push([]);
      size = 0;
    }
    files.at(-1)!.push(tensor);
    size += bytes;
  }
  return files;
}

/**
 * Reads what `writeState` wrote, or an imported model, which has no training state yet. An objective that this phase has
 * and the phase that wrote it had not starts fresh, and what one needs that this phase has not is left out; what has
 * another resolution, patch size or kind of tower is resampled. Nothing else is left out or made up: RecipeInvalid,
 * naming it, where the towers or an objective of both phases are not what the recipe says. CheckpointDamaged when the
 * towers' own training state is not there whole.
 */
export async function readState(folder: string, settings: PhaseSettings): Promise<Values> {
  const values: Record<string, Values[string]> = {};
  const path = join(folder, modelFile);
  const model = await SafetensorsFile.open(path);
  let stored = settings;
  let phase: PhaseState;
  try {
    stored = { ...settings, model: storedModel(model.tensors, settings.model, path) };
    phase = phaseState(stored);
    checkTowers(model.tensors, phase, settings.model, path, await modelBeside(folder));
    for (const { name, shape } of phase.towers) {
      values[name] =
        name === tokenTable && settings.batches.vocabulary !== null
          ? new Float32Array((await model.readRows(name, settings.batches.vocabulary)).buffer)
          : await model.readFloats(name, shape);
    }
  } finally {
    await model.close();
  }
  const files = await trainingFiles(folder);
  const held = new Set<string>();
  for (const path of files) {
    const file = await SafetensorsFile.open(path);
    try {
      for (const [name, { shape }] of file.tensors) {
        if (name === 'vocabulary') checkVocabulary(folder, settings, await file.read(name));
        held.add(name);
        const piece = phase.pieces[name];
        if (piece === undefined) continue;
        if (shape.join() !== piece.shape.join()) throw otherShape(path, name, shape, piece.shape);
        values[name] = await file.readFloats(name);
      }
    } finally {
      await file.close();
    }
  }
  checkObjectives(held, phase, folder);
  const missing = files.length > 0 && alwaysThere(phase, values).find((name) => values[name] === undefined);
  if (missing) {
    throw new RunnerError(
      'CheckpointDamaged',
      `${folder} holds no training state for ${missing}; fetch the checkpoint again`,
    );
  }
  return completed(settings, phaseState(settings), adaptInput(values, stored.model, settings.model));
}

/** What the config.json of a checkpoint says, or null where it was not fetched. */
async function modelBeside(folder: string): Promise<ModelConfig | null> {
  const file = join(folder, 'config.json');
  const content = await readFile(file, 'utf8').catch(() => null);
  return content === null ? null : readModelConfig(content, file);
}

/** Paths of the files below `folder` that hold what only training needs. */
export async function trainingFiles(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => trainingFile.test(name)).sort();
  return names.map((name) => join(folder, name));
}

/** The moments of the towers, and those of every other parameter that is there. */
function alwaysThere(phase: PhaseState, held: Values): string[] {
  const trained = phase.parameters.filter(({ name }) => held[name] !== undefined);
  return trained.flatMap(({ name }) => [firstMoment(name), secondMoment(name)]);
}

function checkVocabulary(folder: string, settings: PhaseSettings, bytes: Uint8Array<ArrayBuffer>): void {
  const held = new Int32Array(bytes.buffer);
  const wanted = settings.batches.vocabulary;
  if (wanted !== null && held.length === wanted.length && held.every((id, i) => id === wanted[i])) return;
  throw new RunnerError(
    'DataContract',
    `the checkpoint in ${folder} was trained with a compacted vocabulary of ${held.length} tokens, and the data now uses ` +
      `${wanted === null ? 'the full one' : `another of ${wanted.length}`}: start a new run for other data`,
  );
}
