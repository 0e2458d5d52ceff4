import type { Tensor } from '@tensorflow/tfjs';
import { tf } from '../../runtime/tensorflow.ts';

/**
 * sum(x d), a scalar whose gradient with respect to x is d: the chain rule where d, of the shape of x, came from elsewhere.
 * The gradient of `tf.sum` would put ones of that shape into the graph, a constant as large as a micro-batch.
 */
export function pulled(x: Tensor, d: Tensor): Tensor {
  const op = tf.customGrad((...args: unknown[]) => {
    const [own, save] = args as [Tensor, (tensors: Tensor[]) => void];
    save([d]);
    return { value: own.mul(d).sum() as Tensor, gradFunc: (dy: Tensor, [d]: Tensor[]) => d!.mul(dy) };
  });
  return op(x);
}
