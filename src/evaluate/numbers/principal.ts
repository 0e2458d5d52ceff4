import type { Matrix } from './matrix.ts';

/** Directions of the largest variance. */
export interface Principal {
  /** (width) mean of the rows. */
  readonly mean: Float64Array;
  /** Of length 1 and orthogonal; the largest entry of each is positive, so that a map keeps its colours. */
  readonly directions: readonly Float64Array[];
}

/** Directions beside those that are wanted: the more there are, the fewer rounds are needed. */
const more = 5;
const rounds = 30;

/**
 * The first `count` principal directions of the rows by subspace iteration in double precision: n x width x (count + 5) x 60
 * products, a second for 2,000 rows of width 768. The same rows give the same directions on every machine.
 */
export function principalOf({ width, rows }: Matrix, count: number): Principal {
  const n = rows.length / width;
  const mean = new Float64Array(width);
  for (let i = 0; i < rows.length; i++) mean[i % width]! += rows[i]! / n;
  const size = Math.min(width, count + more);
  let basis = orthonormal(Array.from({ length: size }, (_, k) => start(width, k)));
  for (let round = 0; round < rounds; round++) basis = orthonormal(basis.map((one) => timesCovariance(one)));
  // Within the subspace the directions are those of its own small covariance.
  const images = basis.map((one) => timesCovariance(one));
  const small = basis.map((one) => images.map((image) => dot(one, image)));
  const { values, vectors } = symmetricEigen(small);
  const order = [...values.keys()].sort((a, b) => values[b]! - values[a]!).slice(0, count);
  return {
    mean,
    directions: order.map((k) => {
      const sum = new Float64Array(width);
      for (const [j, one] of basis.entries()) for (let d = 0; d < width; d++) sum[d]! += vectors[j]![k]! * one[d]!;
      const largest = sum.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
      return largest < 0 ? sum.map((value) => -value) : sum;
    }),
  };

  function timesCovariance(direction: Float64Array): Float64Array {
    const found = new Float64Array(width);
    for (let at = 0; at < rows.length; at += width) {
      let along = 0;
      for (let d = 0; d < width; d++) along += (rows[at + d]! - mean[d]!) * direction[d]!;
      for (let d = 0; d < width; d++) found[d]! += along * (rows[at + d]! - mean[d]!);
    }
    return found;
  }
}

/** Rows in the coordinates of the directions: (n, count). */
export function projected({ width, rows }: Matrix, { mean, directions }: Principal): Float64Array {
  const n = rows.length / width;
  const found = new Float64Array(n * directions.length);
  for (let i = 0; i < n; i++)
    for (const [k, direction] of directions.entries())
      for (let d = 0; d < width; d++)
        found[i * directions.length + k]! += (rows[i * width + d]! - mean[d]!) * direction[d]!;
  return found;
}

/** Some direction, another for each k, and the same on every machine. */
const start = (width: number, k: number) =>
  Float64Array.from({ length: width }, (_, d) => ((d * 2654435761 + (k + 1) * 40503) % 65537) / 65537 - 0.5);

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += a[d]! * b[d]!;
  return sum;
}

/** Gram-Schmidt, twice, so that rounding leaves no overlap. What is nothing beside the others stays zero. */
function orthonormal(all: readonly Float64Array[]): Float64Array[] {
  const found: Float64Array[] = [];
  for (const one of all) {
    const own = one.slice();
    const before = Math.sqrt(dot(own, own));
    for (let twice = 0; twice < 2; twice++)
      for (const other of found) {
        const along = dot(own, other);
        for (let d = 0; d < own.length; d++) own[d]! -= along * other[d]!;
      }
    const length = Math.sqrt(dot(own, own));
    found.push(length > 1e-12 * before ? own.map((value) => value / length) : own.fill(0));
  }
  return found;
}

/** Eigenvalues and, in columns, eigenvectors of a small symmetric matrix, by Jacobi's rotations. */
function symmetricEigen(matrix: readonly (readonly number[])[]) {
  const n = matrix.length;
  const a = matrix.map((row, i) => row.map((value, j) => (value + matrix[j]![i]!) / 2));
  const v = a.map((_, i) => a.map((_, j): number => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < 50; sweep++)
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) {
        if (a[p]![q] === 0) continue;
        const theta = (a[q]![q]! - a[p]![p]!) / (2 * a[p]![q]!);
        const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1);
        for (let k = 0; k < n; k++) [a[k]![p], a[k]![q]] = turned(a[k]![p]!, a[k]![q]!, c, t * c);
        for (let k = 0; k < n; k++) [a[p]![k], a[q]![k]] = turned(a[p]![k]!, a[q]![k]!, c, t * c);
        for (let k = 0; k < n; k++) [v[k]![p], v[k]![q]] = turned(v[k]![p]!, v[k]![q]!, c, t * c);
      }
  return { values: a.map((row, i) => row[i]!), vectors: v };
}

const turned = (x: number, y: number, c: number, s: number): [number, number] => [c * x - s * y, s * x + c * y];
