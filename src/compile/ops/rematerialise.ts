import type { Tensor } from '@tensorflow/tfjs';
import { tf } from '../../runtime/tensorflow.ts';
import { notBefore } from './not-before.ts';

/**
 * `f(...inputs)` whose activations are not kept for the backward pass but computed again in it: memory for one more
 * forward pass (arXiv 1604.06174). The first input must be the activations. Same values, same gradients.
 */
export function rematerialise(f: (...inputs: Tensor[]) => Tensor, inputs: readonly Tensor[]): Tensor {
  const op = tf.customGrad((...args: unknown[]) => {
    const save = args.at(-1) as (tensors: Tensor[]) => void;
    const tensors = args.slice(0, -1) as Tensor[];
    save(tensors);
    const gradFunc = (dy: Tensor, saved: Tensor[]) => {
      const [x, ...rest] = saved;
      // TF.js forgets the tape of the gradient in progress when another one ends within it.
      const { state } = tf.engine();
      const tape = state.activeTape;
      const gradients = tf.grads(f as never)([notBefore(x!, dy), ...rest] as never, dy as never) as Tensor[];
      state.activeTape = tape;
      return gradients;
    };
    return { value: f(...tensors), gradFunc };
  });
  return op(...(inputs as Tensor[]));
}
