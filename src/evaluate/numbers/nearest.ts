import type { Tensor2D } from '@tensorflow/tfjs';
import { tf } from '../../runtime/tensorflow.ts';
import { type Matrix, rowCount } from './matrix.ts';
import type { Pause } from './pause.ts';

/** Of each row of one matrix the rows of another that have the largest products with it, as the device finds them. */
export interface Nearest {
  /** Entries of a row: fewer than were asked for where there are fewer candidates. */
  readonly k: number;
  /** (n, k) products in single precision, largest first. */
  readonly scores: Float32Array;
  /** (n, k) numbers of the candidates. */
  readonly places: Int32Array;
}

/** Rows of a block of products: 256 MiB of them, whatever the sets are. */
const blockRows = 8192;

/**
 * The `kOfA` rows of `b` nearest to each row of `a` and, of the same products, the `kOfB` rows of `a` nearest to each of
 * `b`; 0: not asked for. No more than a block of the products is ever there. 50,000 by 250,000 rows of width 768 are 19
 * TFLOP, once for both directions.
 */
export async function nearestBothWays(
  a: Matrix,
  b: Matrix,
  { kOfA, kOfB }: { readonly kOfA: number; readonly kOfB: number },
  pause: Pause,
  block = blockRows,
): Promise<{ readonly ofA: Nearest; readonly ofB: Nearest }> {
  const [n, m] = [rowCount(a), rowCount(b)];
  const ofA = lists(n, Math.min(kOfA, m));
  const ofB = lists(m, Math.min(kOfB, n));
  for (let i = 0; i < n; i += block) {
    const rows = blockOf(a, i, block);
    try {
      for (let j = 0; j < m; j += block) {
        tf.tidy(() => {
          const products = tf.matMul(rows, blockOf(b, j, block), false, true) as Tensor2D;
          merge(ofA, i, j, topOf(products, ofA.k));
          merge(ofB, j, i, topOf(products, ofB.k, true));
        });
        await pause();
      }
    } finally {
      rows.dispose();
    }
  }
  return { ofA, ofB };
}

/** The `k` rows of `candidates` nearest to each of `queries`. */
export const nearestOf = async (queries: Matrix, candidates: Matrix, k: number, pause: Pause): Promise<Nearest> =>
  (await nearestBothWays(queries, candidates, { kOfA: k, kOfB: 0 }, pause)).ofA;

/**
 * How far a product of rows of length 1 can be from what the device says: sums of `width` terms whose sizes add up to 1 at
 * most, in single precision, or in TF32 on a GPU (10 bits of each factor).
 */
export const productError = (width: number, device: 'cpu' | 'gpu'): number =>
  device === 'gpu' ? 2 ** -9 : 1.1 * width * 2 ** -24;

function blockOf({ width, rows }: Matrix, first: number, block: number): Tensor2D {
  const part = rows.subarray(first * width, Math.min(rows.length, (first + block) * width));
  return tf.tensor2d(part, [part.length / width, width]);
}

const lists = (rows: number, k: number): Nearest => ({
  k,
  scores: new Float32Array(rows * k).fill(Number.NEGATIVE_INFINITY),
  places: new Int32Array(rows * k).fill(-1),
});

interface Top {
  readonly k: number;
  readonly values: Float32Array;
  readonly indices: Int32Array;
}

function topOf(products: Tensor2D, k: number, transposed = false): Top | null {
  if (k === 0) return null;
  const of = transposed ? tf.transpose(products) : products;
  const own = Math.min(k, of.shape[1]!);
  const { values, indices } = tf.topk(of, own, true);
  return { k: own, values: values.dataSync() as Float32Array, indices: indices.dataSync() as Int32Array };
}

/** Puts what a block has into the lists of its rows; of equal ones the earlier candidate is first. */
function merge({ k, scores, places }: Nearest, firstRow: number, firstPlace: number, found: Top | null): void {
  if (!found) return;
  const { values, indices } = found;
  for (let row = 0; row * found.k < values.length; row++) {
    const at = (firstRow + row) * k;
    for (let i = row * found.k; i < (row + 1) * found.k; i++) {
      const value = values[i]!;
      let to = at + k - 1;
      if (!(value > scores[to]!)) break;
      while (to > at && value > scores[to - 1]!) {
        scores[to] = scores[to - 1]!;
        places[to] = places[to - 1]!;
        to--;
      }
      scores[to] = value;
      places[to] = firstPlace + indices[i]!;
    }
  }
}
