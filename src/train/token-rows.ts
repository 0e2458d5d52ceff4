import type { SafetensorsFile } from '../safetensors/safetensors.ts';

/** Tokens that the rows of a table are of, ascending; null: the table has every row. */
export type TokenIds = readonly number[] | null;

/** A table of tokens; rows of no token, such as that of the mask, come after theirs. */
export interface TokenTable {
  readonly ids: TokenIds;
  /** How many rows its tokens have. */
  readonly tokens: number;
}

/** Whether the rows of two tables are of the same tokens. */
export function sameTokens(a: TokenTable, b: TokenTable): boolean {
  if (a.ids === null || b.ids === null) return a.ids === b.ids && a.tokens === b.tokens;
  return a.tokens === b.tokens && a.ids.every((id, i) => id === (b.ids as readonly number[])[i]);
}

/** For each row of `wanted`, which row of `held` is of the same token; -1 where none is. */
export function rowsIn(held: TokenTable, wanted: TokenTable): Int32Array {
  const rows = new Int32Array(wanted.tokens).fill(-1);
  for (let row = 0, at = 0; row < wanted.tokens; row++) {
    const id = wanted.ids?.[row] ?? row;
    if (held.ids === null) at = id;
    else while (at < held.tokens && held.ids[at]! < id) at++;
    if (at < held.tokens && (held.ids?.[at] ?? at) === id) rows[row] = at;
  }
  return rows;
}

/** What is held in memory of a table that goes by. */
export const chunkBytes = 1024 * 1024;

/** Where rows lie: row k of what is wanted is row `rows[k]` of a tensor, or not in it where that is -1. */
export interface RowSource {
  readonly file: SafetensorsFile;
  readonly name: string;
  readonly rows: Int32Array;
}

/** Rows from several tensors in chunks, each from where it lies; zeros where none has it. */
export async function* gathered(
  sources: readonly RowSource[],
  count: number,
  rowBytes: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const size = Math.max(1, Math.floor(chunkBytes / rowBytes));
  for (let first = 0; first < count; first += size) {
    const length = Math.min(size, count - first);
    const chunk = new Uint8Array(length * rowBytes);
    for (const { file, name, rows } of sources) {
      const places = Array.from({ length }, (_, i) => i).filter((i) => rows[first + i]! >= 0);
      const wanted = places.map((i) => rows[first + i]!);
      const bytes = await file.readRows(name, wanted);
      for (const [k, i] of places.entries()) chunk.set(bytes.subarray(k * rowBytes, (k + 1) * rowBytes), i * rowBytes);
    }
    yield chunk;
  }
}
