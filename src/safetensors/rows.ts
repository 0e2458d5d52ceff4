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
  const rowBytes = rows.length / ids.length;
  if (!Number.isInteger(rowBytes)) throw new TypeError(`${rows.length} bytes are not ${ids.length} rows`);
  const rowsPerChunk = Math.max(1, Math.floor(chunkBytes / rowBytes));
  const chunk = new Uint8Array(rowsPerChunk * rowBytes);
  let next = 0;
  for (let first = 0; first < total; first += rowsPerChunk) {
    const last = Math.min(first + rowsPerChunk, total);
    chunk.fill(0);
    for (; next < ids.length && ids[next]! < last; next++) {
      const id = ids[next]!;
      if (id < first) throw new TypeError(`row ids must ascend, got ${id} after ${ids[next - 1]}`);
      chunk.set(rows.subarray(next * rowBytes, (next + 1) * rowBytes), (id - first) * rowBytes);
    }
    yield chunk.subarray(0, (last - first) * rowBytes);
  }
  if (next < ids.length) throw new TypeError(`row id ${ids[next]} is beyond the ${total} rows`);
}
