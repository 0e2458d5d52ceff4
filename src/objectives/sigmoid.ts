import type { Tensor } from '@tensorflow/tfjs';
import { float32MatMul } from '../compile/ops/float32-matmul.ts';
import { l2Normalise } from '../compile/ops/l2-normalise.ts';
import { notBefore } from '../compile/ops/not-before.ts';
import { rangeOp } from '../compile/ops/range.ts';
import { type Parameters, parameter } from '../model/layers.ts';
import { tf } from '../runtime/tensorflow.ts';
import type { Objective } from './objective.ts';

// Letters: B pairs of a batch, C images of a chunk, E width of an embedding.

/** Logits of a chunk: 67 MB of each array of them. At the paper's batch of 32,768 that is 512 images at a time. */
const chunkLogits = 2 ** 24;

/** How many images of a batch meet all of its texts at a time. */
export const sigmoidChunk = (batch: number): number => Math.max(1, Math.min(batch, Math.floor(chunkLogits / batch)));

/**
 * The sigmoid loss of a batch of B pairs: (B, E) image and (B, E) text features, not normalised, -> scalar.
 * -(1/B) sum_i sum_j log sigmoid(y_ij (exp(logit_scale) z_i . z_j + logit_bias)): summed over texts, averaged
 * over images (arXiv 2303.15343, Algorithm 1; big_vision `trainers/proj/image_text/siglip.py`).
 */
export function sigmoidLoss(
  p: Parameters,
  images_BE: Tensor,
  texts_BE: Tensor,
  chunk = sigmoidChunk(images_BE.shape[0]!),
): Tensor {
  const temperature = parameter(p, 'logit_scale').exp();
  return pairLoss(l2Normalise(images_BE), l2Normalise(texts_BE), temperature, parameter(p, 'logit_bias'), chunk);
}

/**
 * (1/B) sum_ij softplus(-y_ij (t z_i . z_j + b)), of which no more than `chunk` rows exist at a time. Loss and gradient
 * come of one pass, since the gradient of a scalar only has to be scaled later: three matmuls in all, and neither logits
 * nor labels of the whole batch. -log sigmoid(y l) = softplus(-y l) stays exact where the sigmoid is near one, and is
 * never below zero.
 *
 * @param temperature_1 exp(logit_scale), (1)
 * @param bias_1 (1)
 */
function pairLoss(images_BE: Tensor, texts_BE: Tensor, temperature_1: Tensor, bias_1: Tensor, chunk: number): Tensor {
  const [batch, width] = images_BE.shape as [number, number];
  const op = tf.customGrad((...args: unknown[]) => {
    const [images, texts, temperature, bias, save] = args as [Tensor, Tensor, Tensor, Tensor, (t: Tensor[]) => void];
    // As inputs of the loop over a chunk, which is then one function for all chunks, and has no table of labels in it.
    const columns_1B = notBefore(rangeOp(batch, 1, 'float32').reshape([1, batch]), images);
    // What every element of the gradients has: of a cosine's, d loss / d l times the temperature.
    const factor = temperature.div(batch);
    const dImages: Tensor[] = [];
    let dTexts: Tensor | null = null;
    let losses_B: Tensor | null = null;
    let slopes_B: Tensor | null = null;
    for (let first = 0; first < batch; first += chunk) {
      const count = Math.min(chunk, batch - first);
      const slice_CE = images.slice([first, 0], [count, width]);
      // One chunk after another: side by side they would all be in memory.
      const own_CE = dTexts === null ? slice_CE : notBefore(slice_CE, dTexts);
      const rows_C1 = notBefore(rangeOp(count, 1, 'float32').add(first).reshape([count, 1]), own_CE);
      // 1 for a text of another picture and -1 for its own, without a table of labels.
      const signs_CB = tf
        .scalar(1)
        .sub(tf.scalar(2).mul(tf.maximum(tf.scalar(1).sub(rows_C1.sub(columns_1B).abs()), 0)));
      const logits_CB = float32MatMul(own_CE, texts, false, true).mul(temperature).add(bias).mul(signs_CB);
      // Columns first: XLA adds one element after another, and only columns side by side.
      losses_B = plus(losses_B, logits_CB.softplus().sum(0));
      const d_CB = logits_CB.sigmoid().mul(signs_CB).mul(factor) as Tensor;
      slopes_B = plus(slopes_B, d_CB.sum(0));
      dImages.push(tf.matMul(d_CB, texts));
      dTexts = plus(dTexts, tf.matMul(d_CB, own_CE, true, false));
    }
    const dImages_BE = tf.concat(dImages);
    save([dImages_BE, dTexts!, images.mul(dImages_BE).sum(0).sum().div(temperature), slopes_B!.sum().div(temperature)]);
    const gradFunc = (dy: Tensor, saved: Tensor[]) => {
      const [dz, dt, dTemperature, dBias] = saved as [Tensor, Tensor, Tensor, Tensor];
      return [
        dz.mul(dy),
        dt.mul(dy),
        dTemperature.mul(dy).reshape(temperature_1.shape),
        dBias.mul(dy).reshape(bias_1.shape),
      ];
    };
    return { value: losses_B!.sum().div(batch) as Tensor, gradFunc };
  });
  return op(images_BE, texts_BE, temperature_1, bias_1);
}

const plus = (sum: Tensor | null, term: Tensor): Tensor => (sum === null ? term : sum.add(term));

/** The sigmoid loss as an objective; its parameters are among those of the towers. */
export const sigmoid: Objective<{ readonly weight: number }> = {
  parameters: () => [],
  reads: () => true,
  feeds: () => ({}),
  wholeBatch: ['logit_scale', 'logit_bias'],
  loss: ({ p, features }) => ({ loss: sigmoidLoss(p, features.image.pooled, features.text.pooled) }),
};
