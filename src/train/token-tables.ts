import { initialise } from '../model/initialise.ts';
import type { ParameterSpec } from '../model/parameters.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { setMeans, wholeTable } from './added-rows.ts';
import { keptTensor, type StateFiles } from './state-files.ts';
import { gathered, type RowSource, rowsIn, sameTokens, type TokenTable } from './token-rows.ts';

/** The tokens that a phase trains. */
export const trainedTokens = ({ batches: { vocabulary }, model }: PhaseSettings): TokenTable => ({
  ids: vocabulary,
  tokens: model.text.vocabulary,
});

/**
 * The rows that a phase trains of the table of the towers, which files hold whole. A row of zeros of which the phase
 * before had no token was never trained, and starts fresh.
 */
export async function towerTable(
  files: StateFiles,
  settings: PhaseSettings,
  spec: ParameterSpec,
): Promise<Float32Array<ArrayBuffer>> {
  const { model, held } = files;
  const { ids } = trainedTokens(settings);
  const values = ids
    ? new Float32Array((await model.readRows(spec.name, ids)).buffer)
    : await wholeTable(files, settings, spec);
  const width = spec.shape[1]!;
  const isZero = (row: number) => values.subarray(row * width, (row + 1) * width).every((value) => value === 0);
  const rows = rowsIn(held, trainedTokens(settings));
  const table = withFresh(values, settings, spec, (row) => rows[row]! < 0 && isZero(row));
  if (!ids && model.info(spec.name).shape[0] !== spec.shape[0]) setMeans(table, settings, width);
  return table;
}

/** The shape that a parameter by tokens, or a moment of it, has in a file. */
export function heldShape({ held }: StateFiles, settings: PhaseSettings, { shape }: ParameterSpec): number[] {
  const [rows = 0, ...row] = shape;
  return [held.tokens + rows - trainedTokens(settings).tokens, ...row];
}

/** The rows that a phase trains of a parameter by tokens, or of a moment, which starts at zero where it has none. */
export async function trainedRows(
  files: StateFiles,
  settings: PhaseSettings,
  name: string,
  spec: ParameterSpec,
): Promise<Float32Array<ArrayBuffer>> {
  const { held, kept, training } = files;
  const file = training.get(name)!;
  const wanted = trainedTokens(settings);
  if (sameTokens(held, wanted)) return file.readFloats(name);
  const [count = 0, ...row] = spec.shape;
  const ofNone = Array.from({ length: count - wanted.tokens }, (_, i) => held.tokens + i);
  const here = Int32Array.from([...rowsIn(held, wanted), ...ofNone]);
  const sources: RowSource[] = [{ file, name, rows: here }];
  const beside = training.get(keptTensor(name));
  const there = rowsIn(kept, wanted);
  if (beside) sources.push({ file: beside, name: keptTensor(name), rows: there });
  const values = new Float32Array(spec.shape.reduce((a, b) => a * b, 1));
  let done = 0;
  for await (const chunk of gathered(
    sources,
    count,
    row.reduce((a, b) => a * b, 4),
  )) {
    values.set(new Float32Array(chunk.buffer), done);
    done += chunk.length / 4;
  }
  if (name !== spec.name) return values;
  return withFresh(values, settings, spec, (i) => here[i]! < 0 && !(beside && there[i]! >= 0));
}

/** The rows of a copy of a parameter by tokens that a file holds of the tokens that were trained; others as they are in `rest`. */
export async function besideRows(
  files: StateFiles,
  settings: PhaseSettings,
  name: string,
  spec: ParameterSpec,
  rest: Float32Array,
): Promise<Float32Array<ArrayBuffer>> {
  const values = await trainedRows(files, settings, name, spec);
  const size = values.length / spec.shape[0]!;
  const rows = rowsIn(files.held, trainedTokens(settings));
  for (const [row, held] of rows.entries())
    if (held < 0) values.set(rest.subarray(row * size, (row + 1) * size), row * size);
  return values;
}

/** Some rows as they are where nothing was trained: a pure function of the seed, the name and the place. */
function withFresh(
  values: Float32Array<ArrayBuffer>,
  { seed }: PhaseSettings,
  spec: ParameterSpec,
  isFresh: (row: number) => boolean,
): Float32Array<ArrayBuffer> {
  const [count = 0] = spec.shape;
  const rows = Array.from({ length: count }, (_, row) => row).filter(isFresh);
  if (rows.length === 0) return values;
  const fresh = initialise(seed, spec);
  const size = values.length / count;
  for (const row of rows) values.set(fresh.subarray(row * size, (row + 1) * size), row * size);
  return values;
}
