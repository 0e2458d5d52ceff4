import type { Tensor } from '@tensorflow/tfjs';
import { tf } from '../../runtime/tensorflow.ts';

/**
 * The one row of (1, ...) `count` times: (count, ...), whose gradient is a sum. That of `tf.tile` is a chain of a slice and
 * an addition for each row, so that a graph would grow with the batch.
 */
export function repeatRows(x: Tensor, count: number): Tensor {
  const op = tf.customGrad((...args: unknown[]) => {
    const [row] = args as [Tensor];
    const times = [count, ...row.shape.slice(1).map(() => 1)];
    return { value: tf.tile(row, times) as Tensor, gradFunc: (dy: Tensor) => dy.sum(0, true) };
  });
  return op(x);
}
