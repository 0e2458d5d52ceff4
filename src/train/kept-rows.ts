import { tokenTable } from '../model/parameters.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { replaceRows, type TensorToWrite } from '../safetensors/safetensors.ts';
import { phaseState } from './phase-state.ts';
import { keptTensor, StateFiles, vocabularyTensor } from './state-files.ts';
import { chunkBytes, gathered, rowsIn, type TokenTable } from './token-rows.ts';

/**
 * Rows of the state that a phase went on from which it does not train, since its data lack their tokens. They are streamed
 * from that state's files into each checkpoint, which so stands by itself, whatever becomes of the one before. The files
 * stay open, so that they may be deleted meanwhile.
 */
export interface KeptRows {
  /** The table of the towers, with the trained rows in their places. */
  table(rows: Uint8Array, ids: readonly number[]): AsyncIterable<Uint8Array>;
  /** Of the decoder's tables: pieces of training state. */
  readonly tensors: readonly TensorToWrite[];
  close(): Promise<void>;
}

/** What a phase keeps of the state in `folder`; null where it trains every row. Errors: CheckpointDamaged. */
export async function openKeptRows(folder: string, settings: PhaseSettings): Promise<KeptRows | null> {
  const { vocabulary } = settings.batches;
  if (vocabulary === null) return null;
  const files = await StateFiles.open(folder);
  const { model } = files;
  return {
    table(rows, ids) {
      const rowBytes = rows.length / ids.length;
      const size = Math.max(1, Math.floor(chunkBytes / rowBytes)) * rowBytes;
      return replaceRows(model.chunks(tokenTable, size), rows, ids);
    },
    tensors: keptTensors(files, settings, vocabulary),
    close: () => files.close(),
  };
}

function keptTensors(files: StateFiles, settings: PhaseSettings, vocabulary: readonly number[]): TensorToWrite[] {
  const { training } = files;
  const tables = phaseState(settings).parameters.filter(
    ({ name, byToken }) => byToken && name !== tokenTable && training.has(name),
  );
  if (tables.length === 0) return [];
  const { held, kept } = files;
  const ids = leftOver(held, kept, vocabulary);
  if (ids.length === 0) return [];
  const wanted: TokenTable = { ids, tokens: ids.length };
  const [here, there] = [rowsIn(held, wanted), rowsIn(kept, wanted)];
  const idBytes = new Uint8Array(Int32Array.from(ids).buffer);
  return [
    { name: keptTensor(vocabularyTensor), dtype: 'I32', shape: [ids.length], data: idBytes },
    ...tables.map(({ name, shape: [, ...row] }): TensorToWrite => {
      const sources = [{ file: training.get(name)!, name, rows: here }];
      const own = keptTensor(name);
      const file = training.get(own);
      if (file) sources.push({ file, name: own, rows: there });
      const rowBytes = row.reduce((a, b) => a * b, 4);
      const data = () => gathered(sources, ids.length, rowBytes);
      return { name: own, dtype: 'F32', shape: [ids.length, ...row], data };
    }),
  ];
}

/** The tokens of a state that a phase does not train, ascending. */
function leftOver(held: TokenTable, kept: TokenTable, vocabulary: readonly number[]): number[] {
  const trained = new Set(vocabulary);
  const ids = [held, kept].flatMap(({ ids, tokens }) => ids ?? Array.from({ length: tokens }, (_, id) => id));
  return ids.filter((id) => !trained.has(id)).sort((a, b) => a - b);
}
