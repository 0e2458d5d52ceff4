import type { Tensor } from '@tensorflow/tfjs';
import { tf } from '../../runtime/tensorflow.ts';
import { float32MatMul } from './float32-matmul.ts';
import { gatherRows, sumToRows } from './gather-rows.ts';
import { notBefore } from './not-before.ts';

/** The last layer of a language model, and what it is to say. */
export interface Prediction {
  /** (R, D) */
  readonly hidden: Tensor;
  /** (V, D) and (V) */
  readonly weight: Tensor;
  readonly bias: Tensor;
  /** (R) int32 in [0, V) */
  readonly labels: Tensor;
  /** (R) how much each row counts */
  readonly rowWeights: Tensor;
}

/**
 * sum_r rowWeights_r (logsumexp(logits_r) - logits_r[label_r]) with logits = hidden weight^T + bias, a scalar, and what each
 * row adds to it, (R) without a gradient; no more than `chunk` rows of logits exist at a time: the gradient computes them again (spec 3.2). A table of 256,000
 * words would otherwise need a megabyte for each row, several times over. Logits are float32 in any precision, and no loss
 * is below zero.
 */
export function chunkedCrossEntropy(
  { hidden, weight, bias, labels, rowWeights }: Prediction,
  chunk: number,
): { loss: Tensor; rows: Tensor } {
  const [rows, width] = hidden.shape as [number, number];
  const parts = Array.from({ length: Math.ceil(rows / chunk) }, (_, i) => ({
    first: i * chunk,
    count: Math.min(chunk, rows - i * chunk),
  }));
  const op = tf.customGrad((...args: unknown[]) => {
    const [h, w, b, save] = args as [Tensor, Tensor, Tensor, (tensors: Tensor[]) => void];
    type Part = (typeof parts)[number];
    const logitsOf = (h: Tensor, w: Tensor, b: Tensor, part: Part, signal: Tensor | null) => {
      const own = h.slice([part.first, 0], [part.count, width]);
      return float32MatMul(signal ? notBefore(own, signal) : own, w, false, true).add(b) as Tensor;
    };
    const sums: Tensor[] = [];
    for (const part of parts) sums.push(tf.logSumExp(logitsOf(h, w, b, part, sums.at(-1) ?? null), 1));
    const logSums = tf.concat(sums);
    const said = h.mul(gatherRows(w, labels)).sum(1).add(gatherColumn(b, labels));
    save([h, w, b, logSums, labels, rowWeights]);
    const gradFunc = (all: Tensor, saved: Tensor[]) => {
      const dy = all.slice([0], [1]).reshape([]);
      const [h, w, b, held, ids, counts] = saved as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
      const scale = counts.mul(dy).reshape([rows, 1]) as Tensor;
      const dHidden: Tensor[] = [];
      let dWeight: Tensor | null = null;
      let dBias: Tensor | null = null;
      for (const part of parts) {
        const { first, count } = part;
        const own = logitsOf(h, w, b, part, dWeight ?? dy).sub(held.slice([first], [count]).reshape([count, 1]));
        // The softmax; the label's own term is taken off below, where it needs no row of the vocabulary's size.
        const d = own.exp().mul(scale.slice([first, 0], [count, 1])) as Tensor;
        dHidden.push(tf.matMul(d, w));
        const dw = tf.matMul(d, h.slice([first, 0], [count, width]), true, false);
        dWeight = dWeight ? dWeight.add(dw) : dw;
        dBias = dBias ? dBias.add(d.sum(0)) : d.sum(0);
      }
      const vocabulary = w.shape[0]!;
      return [
        tf.concat(dHidden).sub(gatherRows(w, ids).mul(scale)),
        dWeight!.sub(sumToRows(h.mul(scale), ids, vocabulary)),
        dBias!.sub(sumToRows(scale, ids, vocabulary).reshape([vocabulary])),
      ];
    };
    // No probability is above one; two ways of adding up the same logit may differ in the last bit.
    const losses: Tensor = logSums.sub(said).maximum(0).mul(rowWeights);
    return { value: tf.concat([losses.sum().reshape([1]), losses]), gradFunc };
  });
  const out = op(hidden, weight, bias);
  return { loss: out.slice([0], [1]).reshape([]), rows: out.slice([1], [rows]) };
}

/** (V) at (R) int32 -> (R) */
const gatherColumn = (values: Tensor, ids: Tensor) => gatherRows(values.reshape([-1, 1]), ids).reshape([-1]);
