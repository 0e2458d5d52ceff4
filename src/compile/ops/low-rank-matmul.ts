import type { Tensor } from '@tensorflow/tfjs';
import { tf } from '../../runtime/tensorflow.ts';

/** Rows of a weight (out, in), to which B A is added, (out, r) x (r, in), where there are such. */
export interface AdaptedRows {
  readonly weight: Tensor;
  readonly a?: Tensor;
  readonly b?: Tensor;
}

/**
 * x (W + B A)^T with the rows of W, one part below another: (R, in) -> (R, out). The sum is made once in a step, so that forward
 * and the gradient of x are the matmuls of W alone, and A and B get their gradients through the r numbers between them: the
 * gradient of W itself, as large as W, is never made unless somebody asks for it (LoRA, arXiv 2106.09685).
 */
export function lowRankMatMul(x: Tensor, rows: readonly AdaptedRows[]): Tensor {
  const adapted = rows.map(({ a, b }) => a !== undefined && b !== undefined);
  const op = tf.customGrad((...args: unknown[]) => {
    const [own, ...rest] = args.slice(0, -1) as Tensor[];
    const save = args.at(-1) as (tensors: Tensor[]) => void;
    const parts = partsOf(rest, adapted);
    const sums = parts.map(({ weight, a, b }) => (a && b ? weight.add(tf.matMul(b, a)) : weight));
    const sum = sums.length === 1 ? sums[0]! : tf.concat(sums);
    save([own!, sum as Tensor, ...rest]);
    const gradFunc = (dy: Tensor, [x, sum, ...rest]: Tensor[]) => {
      let first = 0;
      const gradients = partsOf(rest, adapted).flatMap(({ weight, a, b }) => {
        const count = weight.shape[0]!;
        const own = rows.length === 1 ? dy : dy.slice([0, first], [dy.shape[0]!, count]);
        first += count;
        // Nobody asks for it where the weight is frozen, and then no graph has it.
        const dWeight = tf.matMul(own, x!, true, false);
        if (!a || !b) return [dWeight];
        return [
          dWeight,
          tf.matMul(tf.matMul(own, b), x!, true, false),
          tf.matMul(own, tf.matMul(x!, a, false, true), true, false),
        ];
      });
      return [tf.matMul(dy, sum!), ...gradients];
    };
    return { value: tf.matMul(own!, sum, false, true), gradFunc };
  });
  const inputs = rows.flatMap(({ weight, a, b }) => (a && b ? [weight, a, b] : [weight]));
  return op(x, ...inputs);
}

function partsOf(inputs: readonly Tensor[], adapted: readonly boolean[]): AdaptedRows[] {
  let at = 0;
  return adapted.map((has) => {
    const weight = inputs[at++]!;
    return has ? { weight, a: inputs[at++]!, b: inputs[at++]! } : { weight };
  });
}
