/** Rows of equal width, one after another. */
export interface Matrix {
  readonly width: number;
  /** (n, width) */
  readonly rows: Float32Array;
}

export const rowCount = ({ width, rows }: Matrix): number => rows.length / width;

/** Each row by its length; a row of zeros stays. */
export function unitRows({ width, rows }: Matrix): Matrix {
  const unit = new Float32Array(rows.length);
  for (let at = 0; at < rows.length; at += width) {
    let squares = 0;
    for (let k = at; k < at + width; k++) squares += rows[k]! * rows[k]!;
    const length = Math.sqrt(squares);
    if (length > 0) for (let k = at; k < at + width; k++) unit[k] = rows[k]! / length;
  }
  return { width, rows: unit };
}

/** Some rows after others. */
export function joinedRows(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Those rows, in that order. */
export function takeRows({ width, rows }: Matrix, which: ArrayLike<number>): Matrix {
  const taken = new Float32Array(which.length * width);
  for (let i = 0; i < which.length; i++)
    taken.set(rows.subarray(which[i]! * width, (which[i]! + 1) * width), i * width);
  return { width, rows: taken };
}

/** Product of two rows in double precision and in a fixed order: equal rows give equal numbers on every machine. */
export function dot(a: Matrix, i: number, b: Matrix, j: number): number {
  const { width } = a;
  let sum = 0;
  for (let k = 0, p = i * width, q = j * width; k < width; k++) sum += a.rows[p + k]! * b.rows[q + k]!;
  return sum;
}
