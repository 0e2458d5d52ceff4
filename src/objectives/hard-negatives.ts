import { l2Normalise } from '../compile/ops/l2-normalise.ts';
import { parameter } from '../model/layers.ts';
import type { HardNegativesSettings } from '../recipe/objective-settings.ts';
import type { Objective } from './objective.ts';

/**
 * Texts that the data name as wrong for a picture: pairs of the sigmoid loss beside those of the batch, each of a picture and a
 * text of its own. (1/B) sum_i sum_k softplus(exp(logit_scale) z_i . t_ik + logit_bias), as a cell of the table of pairs
 * weighs. Other pictures don't meet them, as they do in NegCLIP (arXiv 2210.01936): of another picture such a text may be
 * true. So it is a mean over examples, and micro-batches add up.
 *
 * Feeds, for the K texts of an example together: `negativeTokens` (B K, L) int32; `negativeWeights` (B K), 1, or 0 where an
 * example has fewer.
 */
export const hardNegatives: Objective<HardNegativesSettings> = {
  parameters: () => [],
  reads: () => true,
  readsHead: true,
  feeds({ texts }, { text }, count) {
    return {
      negativeTokens: { shape: [count * texts, text.length], dtype: 'int32' },
      negativeWeights: { shape: [count * texts], dtype: 'float32' },
    };
  },
  loss({ settings: { texts }, p, feeds, features }) {
    const images_BxE = l2Normalise(features.image.pooled);
    const [batch, width] = images_BxE.shape as [number, number];
    const texts_BKE = l2Normalise(features.negatives.pooled).reshape([batch, texts, width]);
    const cosines_BK = texts_BKE.mul(images_BxE.reshape([batch, 1, width])).sum(2);
    const logits_BK = cosines_BK.mul(parameter(p, 'logit_scale').exp()).add(parameter(p, 'logit_bias'));
    const weights_BK = feeds.negativeWeights!.reshape([batch, texts]);
    const share = weights_BK.sum().div(batch * texts);
    return { loss: logits_BK.softplus().mul(weights_BK).sum().div(batch), metrics: { share } };
  },
};
