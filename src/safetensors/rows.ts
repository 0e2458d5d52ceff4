/**
 * The bytes of a table of `total` rows that holds `rows` at `ids` and zeros elsewhere, in chunks: what a
 * compacted token table is written as, never whole in memory. `ids` ascend; row k of `rows` belongs to ids[k].
 */
export function* scatterRows(
  rows: Uint8Array,
  ids: readonly number[],
  total: number,
  chunkBytes = 1024 * 1024,
): Generator<Uint8Array> {
  const into = new RowPlacer(rows, ids);
  const rowsPerChunk = Math.max(1, Math.floor(chunkBytes / into.rowBytes));
  const chunk = new Uint8Array(rowsPerChunk * into.rowBytes);
  for (let first = 0; first < total; first += rowsPerChunk) {
    chunk.fill(0);
    yield into.place(chunk.subarray(0, Math.min(rowsPerChunk, total - first) * into.rowBytes));
  }
  into.end();
}

/** The same in place of those rows of a table, whose bytes come in chunks of whole rows, and are written over. */
export async function* replaceRows(
  table: AsyncIterable<Uint8Array>,
  rows: Uint8Array,
  ids: readonly number[],
): AsyncGenerator<Uint8Array> {
  const into = new RowPlacer(rows, ids);
  for await (const chunk of table) yield into.place(chunk);
  into.end();
}

/** Puts rows into a table that goes by in chunks. */
class RowPlacer {
  readonly rowBytes: number;
  readonly #rows: Uint8Array;
  readonly #ids: readonly number[];
  /** Of the ids the next, and how many rows of the table went by. */
  #next = 0;
  #passed = 0;

  constructor(rows: Uint8Array, ids: readonly number[]) {
    this.rowBytes = rows.length / ids.length;
    if (!Number.isInteger(this.rowBytes)) throw new TypeError(`${rows.length} bytes are not ${ids.length} rows`);
    this.#rows = rows;
    this.#ids = ids;
  }

  place(chunk: Uint8Array): Uint8Array {
    const { rowBytes } = this;
    const first = this.#passed;
    this.#passed += chunk.length / rowBytes;
    for (; this.#next < this.#ids.length && this.#ids[this.#next]! < this.#passed; this.#next++) {
      const id = this.#ids[this.#next]!;
      if (id < first) throw new TypeError(`row ids must ascend, got ${id} after ${this.#ids[this.#next - 1]}`);
      chunk.set(this.#rows.subarray(this.#next * rowBytes, (this.#next + 1) * rowBytes), (id - first) * rowBytes);
    }
    return chunk;
  }

  /** To be called when all of the table went by. */
  end(): void {
    if (this.#next < this.#ids.length)
      throw new TypeError(`row id ${this.#ids[this.#next]} is beyond the ${this.#passed} rows`);
  }
}
