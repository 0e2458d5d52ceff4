import type { Scalar, Tensor, Tensor2D } from '@tensorflow/tfjs';
import { tf } from '../../runtime/tensorflow.ts';
import type { Said } from './heads.ts';
import { focal } from './matching.ts';

/** Of a batch, what each token should say. */
export interface Wanted {
  /** (B T, C) 1 where a token is that of a true box of the category. */
  readonly classes: Tensor;
  /** (B T, C) or what broadcasts to it: what counts, by the pictures' shares of the batch. */
  readonly weights: Tensor;
  /** (M) tokens of true boxes, as rows of (B T). */
  readonly tokens: Tensor;
  /** (M, 4) those boxes. */
  readonly boxes: Tensor;
  /** (M) shares of the batch. */
  readonly shares: Tensor;
}

export interface DetectionLosses {
  readonly classes: Scalar;
  readonly distance: Scalar;
  readonly overlap: Scalar;
}

/**
 * Focal loss of every token and category, L1 and 1 - GIoU of the boxes of matched tokens (OWL-ViT, A1.3): each a sum over a
 * picture divided by its true boxes, at least 1.
 */
export function detectionLosses({ logits, boxes }: Said, wanted: Wanted): DetectionLosses {
  const all = focalLoss(logits, wanted.classes).mul(wanted.weights);
  const own = tf.gather(boxes, wanted.tokens) as Tensor2D;
  const apart = own.sub(wanted.boxes).abs().sum(-1).mul(wanted.shares);
  const overlap = tf
    .scalar(1)
    .sub(generalisedIou(own, wanted.boxes as Tensor2D))
    .mul(wanted.shares);
  // Rows first: the order of additions is that of the shapes then.
  return { classes: all.sum(-1).sum(), distance: apart.sum(), overlap: overlap.sum() };
}

function focalLoss(logits: Tensor, classes: Tensor): Tensor {
  const { alpha, gamma } = focal;
  const p = tf.sigmoid(logits);
  const entropy = tf
    .relu(logits)
    .sub(logits.mul(classes))
    .add(tf.log1p(tf.exp(tf.neg(tf.abs(logits)))));
  const wrong = p.add(classes).sub(p.mul(classes).mul(2));
  const weight = classes.mul(2 * alpha - 1).add(1 - alpha);
  return entropy.mul(wrong.pow(gamma)).mul(weight);
}

/** (M) of boxes by their centres and sides. */
function generalisedIou(a: Tensor2D, b: Tensor2D): Tensor {
  const corners = (of: Tensor2D) => {
    const [centre, half] = [of.slice([0, 0], [-1, 2]), of.slice([0, 2], [-1, 2]).div(2)];
    return [centre.sub(half), centre.add(half)] as const;
  };
  const area = (sides: Tensor) =>
    sides
      .slice([0, 0], [-1, 1])
      .mul(sides.slice([0, 1], [-1, 1]))
      .squeeze([1]);
  const [[low, high], [other, end]] = [corners(a), corners(b)];
  const shared = area(tf.relu(tf.minimum(high, end).sub(tf.maximum(low, other))));
  const hull = area(tf.maximum(high, end).sub(tf.minimum(low, other)));
  const union = area(high.sub(low))
    .add(area(end.sub(other)))
    .sub(shared);
  return shared.div(union).sub(hull.sub(union).div(hull));
}
