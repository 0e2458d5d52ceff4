import type { Tensor2D } from '@tensorflow/tfjs';
import { tf } from '../../runtime/tensorflow.ts';
import type { Pause } from '../ranks.ts';
import { type Matrix, rowCount } from './matrix.ts';

/** Products that are there at once: 32 MiB of them. */
const mostProducts = 8 * 1024 ** 2;
const mostColumns = 8192;

/**
 * Products of all rows of `a` with all rows of `b` in single precision, a block at a time, (n, m) of it from row `i` and column
 * `j` on. `whole`: a block has all of `b`, so that a row can be looked at as one.
 */
export async function eachProduct(
  a: Matrix,
  b: Matrix,
  visit: (
    products: Float32Array,
    at: { readonly i: number; readonly j: number; readonly n: number; readonly m: number },
  ) => void,
  pause: Pause,
  { whole = false } = {},
): Promise<void> {
  const all = rowCount(b);
  const columns = whole ? all : Math.min(all, mostColumns);
  if (columns === 0) return;
  const rows = Math.max(1, Math.floor(mostProducts / columns));
  for (let j = 0; j < all; j += columns) {
    const right = blockOf(b, j, columns);
    try {
      for (let i = 0; i < rowCount(a); i += rows) {
        const products = tf.tidy(() => (tf.matMul(blockOf(a, i, rows), right, false, true) as Tensor2D).dataSync());
        const m = Math.min(columns, all - j);
        visit(products as Float32Array, { i, j, n: products.length / m, m });
        await pause();
      }
    } finally {
      right.dispose();
    }
  }
}

function blockOf({ width, rows }: Matrix, first: number, count: number): Tensor2D {
  const part = rows.subarray(first * width, (first + count) * width);
  return tf.tensor2d(part, [part.length / width, width]);
}
