import { link, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { baseFile } from '../checkpoint/base-files.ts';
import { modelFile } from '../checkpoint/compose-model.ts';
import { readModelConfig } from '../checkpoint/hugging-face/read-config.ts';
import { checkpointSha256 } from '../checkpoint/identity.ts';
import { scaleTensor, trainedCopy, withoutAdapter } from '../checkpoint/training-tensors.ts';
import type { StateFile } from '../checkpoint/types.ts';
import type { Values } from '../compile/definition.ts';
import { adapterScale, isAdapter, rowLengths, weightOfMagnitude } from '../model/adapters.ts';
import { initialise } from '../model/initialise.ts';
import { type ParameterSpec, tokenTable } from '../model/parameters.ts';
import { fullVocabulary, type ModelConfig } from '../model/sizes.ts';
import { firstMoment, isMoment, secondMoment, startCopy } from '../optimiser/optimiser.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { RunnerError } from '../runtime/errors.ts';
import { tensorBytes } from '../safetensors/dtypes.ts';
import { inFileOrder, scatterRows, type TensorToWrite, writeSafetensors } from '../safetensors/safetensors.ts';
import { adaptInput, storedModel } from './adapt-input.ts';
import { keepsAdapters } from './adapter-state.ts';
import { addedTokensIn } from './added-rows.ts';
import type { KeptRows } from './kept-rows.ts';
import { checkObjectives, checkTowers, otherShape } from './parent-state.ts';
import { computedState, emaCopy, emaSteps, type PhaseState, phaseState, teacherCopy } from './phase-state.ts';
import { type ReadPieces, readInOrder } from './pieces.ts';
import { StateFiles, vocabularyTensor } from './state-files.ts';
import { rested } from './stored-updates.ts';
import { besideRows, heldShape, towerTable, trainedRows } from './token-tables.ts';

const largestTrainingFile = 2 ** 30;

const zeros = ({ shape }: { readonly shape: readonly number[] }) => new Float32Array(shape.reduce((a, b) => a * b, 1));

/** Step 0: parameters by their initialisers, moments zero, the teacher a copy of the student. */
export function freshState(settings: PhaseSettings): Values {
  return completed(settings, phaseState(settings), {});
}

/**
 * What a state lacks, fresh: a pure function of the seed and the name. A teacher that is new copies the student as it
 * now is (spec 3.5), and so does a start that parameters are pulled to, and a moving average.
 */
function completed(settings: PhaseSettings, phase: PhaseState, held: Values): Values {
  const values: Record<string, Values[string]> = { ...held };
  for (const spec of phase.parameters) {
    const weight = weightOfMagnitude(spec.name);
    values[spec.name] ??= weight
      ? rowLengths(values[weight] as Float32Array, spec.shape[0]!)
      : initialise(settings.seed, spec);
    if (phase.frozen.has(spec.name)) continue;
    for (const key of [firstMoment(spec.name), secondMoment(spec.name)]) values[key] ??= zeros(spec);
  }
  for (const { name } of phase.anchored) values[startCopy(name)] ??= values[name]!.slice();
  for (const { name } of phase.averaged) values[emaCopy(name)] ??= values[name]!.slice();
  if (settings.ema?.warmup) values[emaSteps] ??= Float32Array.of(0);
  for (const { name } of phase.taught) values[teacherCopy(name)] ??= values[name]!.slice();
  for (const spec of phase.computed) values[computedState(spec.name)] ??= zeros(spec).fill(spec.value);
  return values;
}

const bytesOf = (values: Values[string]) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** What a checkpoint holds that the graph does not. */
export interface Beside {
  readonly tensors?: readonly TensorToWrite[];
  /** Rows of tokens that are not trained; without them the table of the towers has zeros there. */
  readonly kept?: KeptRows | null;
  /** The same `base.safetensors`, where this phase has written it before: it is linked. */
  readonly base?: WrittenBase | null;
  /** Moments are left out; the counts of updates, which are among the tensors, have to be `atRest`. */
  readonly withoutMoments?: boolean;
}

/** What all snapshots of a phase with adapters have in common, as a file of local disk. */
export interface WrittenBase {
  readonly file: StateFile;
  readonly path: string;
}

/** Writes a state that is in memory below `folder`, as `streamState` does. */
export function writeState(
  folder: string,
  settings: PhaseSettings,
  state: Values,
  beside: Beside = {},
): Promise<{ state: StateFile[]; sha256: string }> {
  const read = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, state[name]!]));
  return streamState(folder, settings, read, beside);
}

/**
 * Writes the state below `folder`, piece by piece: see `pieces.ts` for what is in memory meanwhile. Equal state gives
 * equal bytes, and so an equal sha256. The towers of a phase with adapters, which it leaves as they are, are
 * `base.safetensors`; `composeModel` makes `model.safetensors` of both. Where there is a moving average it has the names of
 * the parameters, since whoever reads a model is to find it, and what is trained lies beside as `trained/NAME`.
 */
export async function streamState(
  folder: string,
  settings: PhaseSettings,
  read: ReadPieces,
  { tensors = [], kept = null, base = null, withoutMoments = false }: Beside = {},
): Promise<{ state: StateFile[]; sha256: string }> {
  const { towers, pieces, averaged } = phaseState(settings);
  const { vocabulary } = settings.batches;
  const called = new Map(
    averaged.flatMap(({ name }) => [[name, emaCopy(name)] as const, [trainedCopy(name), name] as const]),
  );
  const pieceOf = (tensor: string) => called.get(tensor) ?? tensor;
  const elsewhere = new Set([...towers.map(({ name }) => name), ...averaged.map(({ name }) => emaCopy(name))]);
  let piece: (name: string) => Values[string];
  const streamed = (name: string, shape: readonly number[]): TensorToWrite => ({
    name,
    dtype: 'F32',
    shape,
    data: () => [bytesOf(piece(pieceOf(name)))],
  });
  const model = towers.map(({ name, shape }): TensorToWrite => {
    if (name !== tokenTable || vocabulary === null) return streamed(name, shape);
    return {
      name,
      dtype: 'F32',
      shape: [fullVocabulary, shape[1]!],
      data: () =>
        kept?.table(bytesOf(piece(pieceOf(name))), vocabulary) ??
        scatterRows(bytesOf(piece(pieceOf(name))), vocabulary, fullVocabulary),
    };
  });
  const training = Object.entries(pieces).flatMap(([name, { shape }]) =>
    elsewhere.has(name) || (withoutMoments && isMoment(name)) ? [] : [streamed(name, shape)],
  );
  training.push(...averaged.map(({ name, shape }) => streamed(trainedCopy(name), shape)));
  if (settings.lora) {
    const data = bytesOf(Float32Array.of(adapterScale(settings.lora)));
    training.push({ name: scaleTensor, dtype: 'F32', shape: [1], data });
  }
  if (vocabulary !== null) {
    const data = bytesOf(Int32Array.from(vocabulary));
    training.push({ name: vocabularyTensor, dtype: 'I32', shape: [vocabulary.length], data });
  }
  const files: [string, TensorToWrite[]][] = [
    [settings.lora ? baseFile : modelFile, model],
    ...inFiles([...training, ...tensors, ...(kept?.tensors ?? [])]).map((tensors, i): [string, TensorToWrite[]] => [
      `training-${String(i + 1).padStart(5, '0')}.safetensors`,
      tensors,
    ]),
  ];
  const isHere = (path: string) => base?.file.path === path;
  const order = files.flatMap(([path, tensors]) =>
    isHere(path) ? [] : inFileOrder(tensors).map(({ name }) => pieceOf(name)),
  );
  piece = readInOrder(
    order.filter((name) => Object.hasOwn(pieces, name)).map((name) => [name, tensorBytes('F32', pieces[name]!.shape)]),
    read,
  );
  const written: StateFile[] = [];
  for (const [path, tensors] of files) {
    if (base && isHere(path)) {
      await link(base.path, join(folder, path));
      written.push(base.file);
      continue;
    }
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
 * another resolution, patch size or kind of tower is resampled; of the tables of tokens the rows are taken that this phase
 * trains. Nothing else is left out or made up: RecipeInvalid, naming it, where the towers or an objective of both phases
 * are not what the recipe says. CheckpointDamaged when the towers' own training state is not there whole.
 */
export async function readState(folder: string, settings: PhaseSettings): Promise<Values> {
  const files = await StateFiles.open(folder);
  try {
    return await stateIn(files, settings);
  } finally {
    await files.close();
  }
}

async function stateIn(files: StateFiles, settings: PhaseSettings): Promise<Values> {
  const { folder, model, base, training } = files;
  const values: Record<string, Values[string]> = {};
  const stored = { ...settings, model: storedModel(model.tensors, settings.model, model.path) };
  const phase = phaseState(stored);
  const { textPositions } = settings;
  // A phase that asks for longer texts, and no other, may begin with shorter ones.
  const text = textPositions ? stored.model.text : settings.model.text;
  const said = await modelBeside(folder);
  const tokens = addedTokensIn(said, settings);
  checkTowers(model.tensors, phase, { ...settings.model, text: { ...text, ...tokens } }, model.path, said);
  const keeps = await keepsAdapters(files, settings, phase);
  if (model === base && !keeps)
    throw new RunnerError('CheckpointDamaged', `${folder} has no ${modelFile}; fetch the checkpoint again`);
  for (const spec of phase.towers) {
    // Up to release 0.2.0 weights without adapters lay beside the model.
    const beside = withoutAdapter(spec.name);
    const without = keeps ? training.get(beside) : undefined;
    if (spec.name === tokenTable) values[spec.name] = await towerTable(files, settings, spec);
    else if (without) values[spec.name] = await without.readFloats(beside);
    else values[spec.name] = await ((keeps && base) || model).readFloats(spec.name, spec.shape);
  }
  const byToken = new Map(
    phase.parameters
      .filter(({ byToken }) => byToken)
      .flatMap((spec) => [spec.name, firstMoment(spec.name), secondMoment(spec.name)].map((key) => [key, spec])),
  );
  for (const [name, file] of training) {
    const piece = phase.pieces[name];
    if (piece === undefined || (isAdapter(name) && !keeps)) continue;
    const spec = byToken.get(name);
    const shape = spec ? heldShape(files, settings, spec) : piece.shape;
    const found = file.info(name).shape;
    if (found.join() !== shape.join()) throw otherShape(file.path, name, found, shape);
    values[name] = spec ? await trainedRows(files, settings, name, spec) : await file.readFloats(name);
  }
  for (const spec of phase.parameters) await setTrained(files, settings, phase, spec, values);
  // Where no average goes on they all begin, and their warm-up with them.
  if (!phase.averaged.some(({ name }) => values[emaCopy(name)])) delete values[emaSteps];
  checkObjectives(new Set(training.keys()), phase, folder);
  for (const missing of training.size > 0 ? missingMoments(phase, values) : []) {
    if (await rested(files, missing)) continue;
    throw new RunnerError(
      'CheckpointDamaged',
      `${folder} holds no training state for ${missing}; fetch the checkpoint again`,
    );
  }
  return completed(settings, phaseState(settings), adaptInput(values, stored.model, settings.model, textPositions));
}

/** Where a state has moving averages they were read by the names of the parameters: each takes its place. */
async function setTrained(
  files: StateFiles,
  settings: PhaseSettings,
  { pieces }: PhaseState,
  spec: ParameterSpec,
  values: Record<string, Values[string]>,
): Promise<void> {
  const beside = trainedCopy(spec.name);
  const average = values[spec.name];
  const file = files.training.get(beside);
  if (average === undefined || file === undefined) return;
  const shape = spec.byToken ? heldShape(files, settings, spec) : spec.shape;
  const found = file.info(beside).shape;
  if (found.join() !== shape.join()) throw otherShape(file.path, beside, found, shape);
  if (pieces[emaCopy(spec.name)]) values[emaCopy(spec.name)] = average;
  values[spec.name] = spec.byToken
    ? await besideRows(files, settings, beside, spec, average as Float32Array)
    : await file.readFloats(beside);
}

/** What the config.json of a checkpoint says, or null where it was not fetched. */
async function modelBeside(folder: string): Promise<ModelConfig | null> {
  const file = join(folder, 'config.json');
  const content = await readFile(file, 'utf8').catch(() => null);
  return content === null ? null : readModelConfig(content, file);
}

/** Parameters that are there, and trained, without their moments. */
function missingMoments({ parameters, frozen }: PhaseState, held: Values): string[] {
  return parameters
    .map(({ name }) => name)
    .filter((name) => held[name] !== undefined && !frozen.has(name))
    .filter((name) => [firstMoment(name), secondMoment(name)].some((moment) => held[moment] === undefined));
}
