/**
 * The assignment of every row to a column of its own with the least sum of costs, by shortest augmenting paths (Jonker and
 * Volgenant; scipy's `linear_sum_assignment`). `costs` is (rows, columns) with rows <= columns, all of them finite. Answers the
 * column of each row. Time: rows^2 columns.
 */
export function assignment(costs: ArrayLike<number>, rows: number, columns: number): Int32Array {
  if (rows > columns) throw new Error(`${rows} rows have ${columns} columns to choose from`);
  const ofRow = new Float64Array(rows);
  const ofColumn = new Float64Array(columns);
  const rowOf = new Int32Array(columns).fill(-1);
  const columnOf = new Int32Array(rows).fill(-1);
  const least = new Float64Array(columns);
  const from = new Int32Array(columns);
  const done = new Uint8Array(columns);
  for (let start = 0; start < rows; start++) {
    least.fill(Number.POSITIVE_INFINITY);
    from.fill(-1);
    done.fill(0);
    const reached: number[] = [];
    let [row, way, end] = [start, 0, -1];
    while (end < 0) {
      let [best, next] = [Number.POSITIVE_INFINITY, -1];
      for (let column = 0; column < columns; column++) {
        if (done[column]) continue;
        const cost = way + costs[row * columns + column]! - ofRow[row]! - ofColumn[column]!;
        if (cost < least[column]!) {
          least[column] = cost;
          from[column] = row;
        }
        // Of equal ones a free column ends the search.
        if (least[column]! < best || (least[column] === best && rowOf[column] === -1)) {
          best = least[column]!;
          next = column;
        }
      }
      if (!Number.isFinite(best)) throw new Error('a cost is not finite');
      way = best;
      done[next] = 1;
      if (rowOf[next] === -1) end = next;
      else {
        reached.push(next);
        row = rowOf[next]!;
      }
    }
    ofRow[start]! += way;
    for (const column of reached) {
      ofRow[rowOf[column]!]! += way - least[column]!;
      ofColumn[column]! -= way - least[column]!;
    }
    for (let column = end; ; ) {
      const own = from[column]!;
      const before = columnOf[own]!;
      rowOf[column] = own;
      columnOf[own] = column;
      if (own === start) break;
      column = before;
    }
  }
  return columnOf;
}
