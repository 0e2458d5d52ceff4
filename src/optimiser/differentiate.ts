import type { Tensor } from '@tensorflow/tfjs';
import type { Tensors } from '../compile/definition.ts';
import { tf } from '../runtime/tensorflow.ts';

/**
 * Value and gradients of a scalar function of named tensors, and what else it computed on the way. What the function
 * does not depend on has the gradient zero, and is not among `read`.
 */
export function differentiate(
  names: readonly string[],
  at: Tensors,
  f: (p: Tensors) => { value: Tensor; aside: Tensors },
): { value: Tensor; gradients: Tensors; aside: Tensors; read: ReadonlySet<string> } {
  const inputs = names.map((name) => at[name]!);
  let kept: Tensors = {};
  const { value, grads } = tf.engine().gradients(
    () => {
      const { value, aside } = f(at);
      // TF.js disposes whatever the function made and does not return.
      kept = Object.fromEntries(Object.entries(aside).map(([key, tensor]) => [key, tf.keep(tensor.clone())]));
      return value;
    },
    inputs,
    undefined,
    true,
  );
  const aside = Object.entries(kept).map(([key, tensor]) => {
    const owned = tensor.clone();
    tensor.dispose();
    return [key, owned];
  });
  // A sparse array: TF.js leaves out what has no gradient.
  const gradients = names.map((name, i) => [name, (grads[i] as Tensor | undefined) ?? tf.zerosLike(inputs[i]!)]);
  const read = new Set(names.filter((_, i) => grads[i] !== undefined));
  return { value, read, gradients: Object.fromEntries(gradients), aside: Object.fromEntries(aside) };
}
