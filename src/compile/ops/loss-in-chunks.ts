import type { Tensor } from '@tensorflow/tfjs';
import { tf } from '../../runtime/tensorflow.ts';
import { notBefore } from './not-before.ts';

/** A loss that is a sum over examples, of which only some exist at a time. */
export interface ChunkedLoss {
  /** Examples, and how many of them at a time: a divisor of it. */
  readonly count: number;
  readonly chunk: number;
  /** Differentiated; the rows of an example lie together: (count r, ...). */
  readonly rows: readonly Tensor[];
  /** The same, not differentiated. */
  readonly fixed: readonly Tensor[];
  /** Differentiated, and the same for every chunk, such as the weights of a layer. */
  readonly shared: readonly Tensor[];
  /** The sum over some examples, a scalar; `aside` (A) is what else is summed over them, without a gradient. */
  readonly of: (rows: Tensor[], fixed: Tensor[], shared: Tensor[]) => { readonly loss: Tensor; readonly aside: Tensor };
}

/**
 * Sum and sums aside over all examples. Each chunk gives its loss and its gradients at once, one chunk after another: a
 * gradient of a scalar only has to be scaled later. So nothing is computed twice, and what is kept is as large as `rows`
 * and `shared`.
 */
export function lossInChunks({ count, chunk, rows, fixed, shared, of }: ChunkedLoss): { loss: Tensor; aside: Tensor } {
  const part = (tensor: Tensor, first: number): Tensor => {
    const [length, ...rest] = tensor.shape as [number, ...number[]];
    const each = length / count;
    return tensor.slice([first * each, ...rest.map(() => 0)], [chunk * each, ...rest]);
  };
  const op = tf.customGrad((...args: unknown[]) => {
    const save = args.at(-1) as (tensors: Tensor[]) => void;
    const own = args.slice(0, rows.length) as Tensor[];
    const common = args.slice(rows.length, -1) as Tensor[];
    const pieces: Tensor[][] = [];
    let sums: Tensor[] | null = null;
    let total: Tensor | null = null;
    for (let first = 0; first < count; first += chunk) {
      // Side by side all chunks would be in memory.
      const turn = (tensor: Tensor) => (total === null ? tensor : notBefore(tensor, total));
      const slices = own.map((tensor) => turn(part(tensor, first)));
      const given = fixed.map((tensor) =>
        tensor.dtype === 'float32' ? turn(part(tensor, first)) : part(tensor, first),
      );
      const { value, gradients } = gradientsWithin([...slices, ...common], (inputs) => {
        const { loss, aside } = of(inputs.slice(0, rows.length), given, inputs.slice(rows.length));
        return { loss, aside: tf.concat([loss.reshape([1]), aside]) };
      });
      pieces.push(gradients.slice(0, rows.length));
      const rest = gradients.slice(rows.length);
      sums = sums === null ? rest : sums.map((sum, i) => sum.add(rest[i]!));
      total = total === null ? value : total.add(value);
    }
    save([...rows.map((_, i) => tf.concat(pieces.map((piece) => piece[i]!))), ...sums!]);
    const gradFunc = (dy: Tensor, saved: Tensor[]) =>
      saved.map((gradient) => gradient.mul(dy.slice([0], [1]).reshape([])));
    return { value: total!, gradFunc };
  });
  const out = op(...([...rows, ...shared] as Tensor[]));
  return { loss: out.slice([0], [1]).reshape([]), aside: out.slice([1], [out.shape[0]! - 1]) };
}

/**
 * Gradients within the forward pass of another gradient, where TF.js records nothing: its tape and its depths are put
 * aside meanwhile. Answers `aside`, and the gradients of `loss`.
 */
function gradientsWithin(
  inputs: readonly Tensor[],
  f: (inputs: Tensor[]) => { readonly loss: Tensor; readonly aside: Tensor },
): { value: Tensor; gradients: Tensor[] } {
  const { state } = tf.engine();
  const { activeTape, gradientDepth, kernelDepth } = state;
  Object.assign(state, { activeTape: null, gradientDepth: 0, kernelDepth: 0 });
  try {
    let kept: Tensor | undefined;
    const { grads } = tf.engine().gradients(
      () => {
        const { loss, aside } = f([...inputs]);
        // TF.js disposes whatever the function made and does not return.
        kept = tf.keep(aside.clone());
        return loss;
      },
      [...inputs],
      undefined,
      true,
    );
    const value = kept!.clone();
    kept!.dispose();
    const gradients = inputs.map((input, i) => (grads[i] as Tensor | undefined) ?? tf.zerosLike(input));
    return { value, gradients };
  } finally {
    Object.assign(state, { activeTape, gradientDepth, kernelDepth });
  }
}
