import type { Tensor } from '@tensorflow/tfjs';
import { float32MatMul } from '../compile/ops/float32-matmul.ts';
import { throughUnitRows, unitRows } from '../compile/ops/l2-normalise.ts';
import { notBefore } from '../compile/ops/not-before.ts';
import { type Parameters, parameter } from '../model/layers.ts';
import { tf } from '../runtime/tensorflow.ts';
import { rowsAt, tilesOf } from './tiles.ts';

// Letters: B images of a batch, E width of an embedding, N rows of a bank; of a tile C images and K texts.

/** The state that holds a bank: rows of length one, and of zeros where there is no text. */
export const textBank = 'textBank';
/** Texts of a batch, (B, E) of length one, as who trains takes them into a bank. */
export const unitTexts = 'unitTexts';

export interface BankOf {
  /** How many batches like this one meet in a round. */
  readonly replicas: number;
  /** Images, and texts, of a tile. */
  readonly side: number;
  /** The loss of the batch's own pairs: tiles are computed after it, so that memory is not needed for both at once. */
  readonly after: Tensor;
}

/**
 * What images lose to the texts of a bank, all of which are negatives: (B, E) image features, not normalised, and (N, E)
 * texts, -> scalar. (1/B) sum_i sum_n w_n softplus(exp(logit_scale) z_i . t_n + logit_bias): summed over texts and averaged
 * over images as the sigmoid loss is, to which it is added. No gradient goes to the texts.
 *
 * A text weighs w = (replicas - 1) B / N for N that are there. Beside the B - 1 negatives of its batch an image has so the
 * weight of those of all replicas, replicas B - 1 together. Where none is there, all weigh nothing: the loss is that of the batch.
 *
 * Loss and gradient come of one pass and a tile at a time, as in `sigmoid.ts`.
 */
export function bankLoss(p: Parameters, images_BE: Tensor, bank_NE: Tensor, of: BankOf): Tensor {
  const { replicas, side } = of;
  const batch = images_BE.shape[0]!;
  const op = tf.customGrad((...args: unknown[]) => {
    const [images, temperature, bias, save] = args as [Tensor, Tensor, Tensor, (t: Tensor[]) => void];
    const weights_1N = weightsOf(bank_NE, (replicas - 1) * batch);
    const factor = temperature.div(batch);
    const [losses, slopes, along, dImages]: Tensor[][] = [[], [], [], []];
    let last = of.after;
    for (const [first, count] of tilesOf(batch, side)) {
      // One tile after another: side by side they would all be in memory.
      const own = unitRows(notBefore(rowsAt(images, first, count), last));
      let dz_CE: Tensor | null = null;
      for (const [row, texts] of tilesOf(bank_NE.shape[0]!, side)) {
        const texts_KE = rowsAt(bank_NE, row, texts);
        const weights_1K = weights_1N.slice([0, row], [1, texts]);
        const logits_CK = float32MatMul(notBefore(own.z, last), texts_KE, false, true).mul(temperature).add(bias);
        const slopes_CK = logits_CK.sigmoid().mul(weights_1K).mul(factor) as Tensor;
        losses!.push((logits_CK.softplus() as Tensor).mul(weights_1K).sum(0));
        slopes!.push(slopes_CK.sum(0));
        const term: Tensor = tf.matMul(slopes_CK, texts_KE);
        dz_CE = dz_CE ? dz_CE.add(term) : term;
        last = dz_CE;
      }
      along!.push(own.z.mul(dz_CE!).sum(0));
      dImages!.push(throughUnitRows(own, dz_CE!));
    }
    const total = (sums: Tensor[]) => tf.concat(sums).sum();
    save([tf.concat(dImages!), total(along!).div(temperature), total(slopes!).div(temperature)]);
    return { value: total(losses!).div(batch) as Tensor, gradFunc: times };
  });
  return op(images_BE, parameter(p, 'logit_scale').exp(), parameter(p, 'logit_bias'));
}

/** What each row weighs, (1, N), so that those that are there weigh so much together. */
function weightsOf(bank_NE: Tensor, together: number): Tensor {
  const there_N = bank_NE.square().sum(1).greater(0.5).cast('float32');
  return there_N.mul(tf.scalar(together).div(tf.maximum(there_N.sum(), 1))).reshape([1, -1]);
}

/** What was saved are the gradients: of images, and of temperature and bias (1). */
function times(dy: Tensor, [dImages, dTemperature, dBias]: Tensor[]): Tensor[] {
  return [dImages!.mul(dy), dTemperature!.mul(dy).reshape([1]), dBias!.mul(dy).reshape([1])];
}
