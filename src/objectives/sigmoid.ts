import type { Tensor } from '@tensorflow/tfjs';
import { l2Normalise, type Parameters, parameter } from '../model/layers.ts';
import { tf } from '../runtime/tensorflow.ts';
import type { Objective } from './objective.ts';

/**
 * The sigmoid loss of a batch of B pairs: (B, E) image and (B, E) text features, not normalised, -> scalar.
 * -(1/B) sum_i sum_j log sigmoid(y_ij (exp(logit_scale) z_i . z_j + logit_bias)): summed over texts, averaged
 * over images (arXiv 2303.15343, Algorithm 1; big_vision `trainers/proj/image_text/siglip.py`).
 */
export function sigmoidLoss(p: Parameters, images_BE: Tensor, texts_BE: Tensor): Tensor {
  const batch = images_BE.shape[0]!;
  const temperature = parameter(p, 'logit_scale').exp();
  const cosines_BB = tf.matMul(l2Normalise(images_BE), l2Normalise(texts_BE), false, true);
  const logits_BB = cosines_BB.mul(temperature).add(parameter(p, 'logit_bias'));
  // -log sigmoid(y l) = softplus(-y l), which stays exact where the sigmoid is near one.
  const signs_BB = tf.eye(batch).mul(-2).add(1);
  return logits_BB.mul(signs_BB).softplus().sum().div(batch);
}

/** The sigmoid loss as an objective; its parameters are among those of the towers. */
export const sigmoid: Objective<{ readonly weight: number }> = {
  parameters: () => [],
  feeds: () => ({}),
  wholeBatch: ['logit_scale', 'logit_bias'],
  loss: ({ p, features }) => ({ loss: sigmoidLoss(p, features.image.pooled, features.text.pooled) }),
};
