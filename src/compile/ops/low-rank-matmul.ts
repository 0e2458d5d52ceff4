import type { Tensor } from '@tensorflow/tfjs';
import { tf } from '../../runtime/tensorflow.ts';
import { notBefore } from './not-before.ts';

/** Rows of a weight (out, in), to which B A is added, (out, r) x (r, in), where there are such. */
export interface AdaptedRows {
  readonly weight: Tensor;
  readonly a?: Tensor;
  readonly b?: Tensor;
  /** Lengths (out) that the rows of the sum are scaled to (DoRA, arXiv 2402.09353). */
  readonly magnitude?: Tensor;
}

/** A row of zeros stays one. */
const shortest = 1e-12;

/** `lowRankMatMul` with the rows of each sum scaled to their lengths, where there are such: (R, in) -> (R, out). */
export function adaptedMatMul(x: Tensor, rows: readonly AdaptedRows[]): Tensor {
  const product = lowRankMatMul(x, rows);
  if (!rows.some(({ magnitude }) => magnitude)) return product;
  const gains = rows.map((part) =>
    part.magnitude ? part.magnitude.div(rowLengths(part).maximum(shortest)) : tf.ones([part.weight.shape[0]!]),
  );
  return product.mul(gains.length === 1 ? gains[0]! : tf.concat(gains));
}

/** Lengths of the rows of W + B A (out), which gradients take as constants (section 4.3 there, and peft). */
function rowLengths({ weight, a, b }: AdaptedRows): Tensor {
  const op = tf.customGrad((...args: unknown[]) => {
    const [weight, a, b] = args as Tensor[];
    return {
      value: sumOf([{ weight: weight!, a: a!, b: b! }])
        .square()
        .sum(1)
        .sqrt(),
      gradFunc: () => [weight!, a!, b!].map((input) => tf.zerosLike(input)),
    };
  });
  return op(weight, a!, b!);
}

/**
 * x (W + B A)^T with the rows of W, one part below another: (R, in) -> (R, out). The sum is made, so that forward and the gradient
 * of x are the matmuls of W alone, and A and B get their gradients through the r numbers between them: the gradient of W itself,
 * as large as W, is never made unless somebody asks for it (LoRA, arXiv 2106.09685). In the backward pass the sum is made again,
 * which is quick: kept, those of all layers would be as large as the model.
 */
export function lowRankMatMul(x: Tensor, rows: readonly AdaptedRows[]): Tensor {
  const adapted = rows.map(({ a, b }) => a !== undefined && b !== undefined);
  const op = tf.customGrad((...args: unknown[]) => {
    const [own, ...rest] = args.slice(0, -1) as Tensor[];
    const save = args.at(-1) as (tensors: Tensor[]) => void;
    save([own!, ...rest]);
    const gradFunc = (dy: Tensor, [x, ...rest]: Tensor[]) => {
      let first = 0;
      const parts = partsOf(rest, adapted);
      const gradients = parts.flatMap(({ weight, a, b }) => {
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
      const again = parts.map((part) => (part.a ? { ...part, a: notBefore(part.a, dy) } : part));
      return [tf.matMul(dy, sumOf(again)), ...gradients];
    };
    return { value: tf.matMul(own!, sumOf(partsOf(rest, adapted)), false, true), gradFunc };
  });
  const inputs = rows.flatMap(({ weight, a, b }) => (a && b ? [weight, a, b] : [weight]));
  return op(x, ...inputs);
}

function sumOf(parts: readonly AdaptedRows[]): Tensor {
  const sums = parts.map(({ weight, a, b }): Tensor => (a && b ? weight.add(tf.matMul(b, a)) : weight));
  return sums.length === 1 ? sums[0]! : tf.concat(sums);
}

function partsOf(inputs: readonly Tensor[], adapted: readonly boolean[]): AdaptedRows[] {
  let at = 0;
  return adapted.map((has) => {
    const weight = inputs[at++]!;
    return has ? { weight, a: inputs[at++]!, b: inputs[at++]! } : { weight };
  });
}
