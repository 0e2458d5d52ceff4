import type { Tensor } from '@tensorflow/tfjs';
import { float32MatMul } from '../compile/ops/float32-matmul.ts';
import { l2Normalise, throughUnitRows, unitRows } from '../compile/ops/l2-normalise.ts';
import { notBefore } from '../compile/ops/not-before.ts';
import { rangeOp } from '../compile/ops/range.ts';
import { type Parameters, parameter } from '../model/layers.ts';
import { embeddingWidth } from '../model/sizes.ts';
import { groupsWidth } from '../recipe/batch-plan.ts';
import type { SigmoidSettings } from '../recipe/objective-settings.ts';
import { bankRows } from '../recipe/text-bank.ts';
import { tf } from '../runtime/tensorflow.ts';
import { type Kin, type KinTile, kinAt, withKin } from './kin.ts';
import type { Objective } from './objective.ts';
import { bankLoss, textBank, unitTexts } from './text-bank.ts';
import { rowsAt, tilesOf } from './tiles.ts';

// Letters: B pairs of a batch, E width of an embedding; of a tile C images and K texts.

/** Images and texts of a tile: 17 MB of each array of logits. */
export const tileSide = 2048;
/** A batch up to this is one tile: 67 MB of each. */
const largestWhole = 4096;

/** How many images, and texts, of a batch meet at a time. */
export const sigmoidSide = (batch: number): number => (batch <= largestWhole ? largestWhole : tileSide);

/**
 * The sigmoid loss of a batch of B pairs: (B, E) image and (B, E) text features, not normalised, -> scalar.
 * -(1/B) sum_i sum_j log sigmoid(y_ij (exp(logit_scale) z_i . z_j + logit_bias)): summed over texts, averaged
 * over images (arXiv 2303.15343, Algorithm 1; big_vision `trainers/proj/image_text/siglip.py`).
 *
 * -log sigmoid(y l) = softplus(-y l) stays exact where the sigmoid is near one, and is never below zero.
 *
 * Loss and gradient come of one pass, since the gradient of a scalar only has to be scaled later: three matmuls in all. A
 * batch that is larger than a tile is computed a tile at a time. Both ways are the same but for rounding; small batches
 * keep the one that runs of before began with.
 *
 * With `batches` the batch stands for one of so many times as many pairs, of which it is drawn: negatives are weighed by
 * (batches B - 1) / (B - 1), and loss and gradient are on the mean those of the large one, since they are sums over pairs.
 *
 * @param side images, and texts, of a tile
 * @param kin which pairs of two examples are no negatives
 */
export function sigmoidLoss(
  p: Parameters,
  images_BE: Tensor,
  texts_BE: Tensor,
  side = sigmoidSide(images_BE.shape[0]!),
  kin: Kin | null = null,
  batches = 1,
): Tensor {
  const head = [parameter(p, 'logit_scale').exp(), parameter(p, 'logit_bias')] as const;
  const count = images_BE.shape[0]!;
  const of = { kin, negatives: count > 1 ? (batches * count - 1) / (count - 1) : 1 };
  if (count > side) return tiledLoss(images_BE, texts_BE, ...head, side, of);
  return wholeLoss(l2Normalise(images_BE), l2Normalise(texts_BE), ...head, of);
}

/** Which pairs count, and how much. */
interface PairsOf {
  readonly kin: Kin | null;
  /** What a negative weighs. */
  readonly negatives: number;
}

/** Of unit rows, with all logits at once. `temperature_1` is exp(logit_scale), (1), and so is the bias. */
function wholeLoss(
  images_BE: Tensor,
  texts_BE: Tensor,
  temperature_1: Tensor,
  bias_1: Tensor,
  { kin, negatives }: PairsOf,
): Tensor {
  const batch = images_BE.shape[0]!;
  const op = tf.customGrad((...args: unknown[]) => {
    const [images, texts, temperature, bias, save] = args as [Tensor, Tensor, Tensor, Tensor, (t: Tensor[]) => void];
    const tile = tileOf(images, texts, {
      temperature,
      bias,
      batch,
      diagonal: true,
      negatives,
      kin: kinAt(kin, 0, 0, batch),
    });
    const dImages = tf.matMul(tile.d_CK, texts);
    const dTexts = tf.matMul(tile.d_CK, images, true, false);
    const dTemperature = images.mul(dImages).sum(0).sum().div(temperature);
    save([dImages, dTexts, dTemperature, tile.slopes_K.sum().div(temperature)]);
    return { value: tile.losses_K.sum().div(batch) as Tensor, gradFunc: times };
  });
  return op(images_BE, texts_BE, temperature_1, bias_1);
}

/**
 * Of rows of any length, a tile after another: neither logits nor labels of the whole batch exist, nor its gradients before
 * they have gone through the normalisation. Tiles are square, so that what is added up over them is as small as can be:
 * rows of all texts would be read and written once for every few images.
 */
function tiledLoss(
  images_BE: Tensor,
  texts_BE: Tensor,
  temperature_1: Tensor,
  bias_1: Tensor,
  side: number,
  { kin, negatives }: PairsOf,
): Tensor {
  const batch = images_BE.shape[0]!;
  const tiles = tilesOf(batch, side);
  const op = tf.customGrad((...args: unknown[]) => {
    const [images, texts, temperature, bias, save] = args as [Tensor, Tensor, Tensor, Tensor, (t: Tensor[]) => void];
    const textsAt = new Map(tiles.map(([first, count]) => [first, unitRows(rowsAt(texts, first, count))]));
    const [losses, slopes, dUnitTexts]: [Sums, Sums, Sums] = [new Map(), new Map(), new Map()];
    const dImages: Tensor[] = [];
    const along: Tensor[] = [];
    let last: Tensor | null = null;
    for (const [first, count] of tiles) {
      // One tile after another: side by side they would all be in memory.
      const turn = (rows: Tensor): Tensor => (last === null ? rows : notBefore(rows, last));
      const own = unitRows(turn(rowsAt(images, first, count)));
      const dOwn: Sums = new Map();
      for (const [column] of tiles) {
        const own_CE = turn(own.z);
        const texts_KE = textsAt.get(column)!.z;
        const of = { temperature, bias, batch, negatives, diagonal: first === column };
        const tile = tileOf(own_CE, texts_KE, { ...of, kin: kinAt(kin, first, column, side) });
        plus(losses, column, tile.losses_K);
        plus(slopes, column, tile.slopes_K);
        plus(dOwn, first, tf.matMul(tile.d_CK, texts_KE));
        last = plus(dUnitTexts, column, tf.matMul(tile.d_CK, own_CE, true, false));
      }
      const dz_CE = dOwn.get(first)!;
      along.push(own.z.mul(dz_CE).sum(0).sum().reshape([1]));
      dImages.push(throughUnitRows(own, dz_CE));
    }
    const dTexts = tiles.map(([first]) => throughUnitRows(textsAt.get(first)!, dUnitTexts.get(first)!));
    const total = (sums: Iterable<Tensor>) => tf.concat([...sums]).sum();
    const dBias = total(slopes.values()).div(temperature);
    save([tf.concat(dImages), tf.concat(dTexts), total(along).div(temperature), dBias]);
    return { value: total(losses.values()).div(batch) as Tensor, gradFunc: times };
  });
  return op(images_BE, texts_BE, temperature_1, bias_1);
}

/** What was saved are the gradients: of rows, and of two (1). */
function times(dy: Tensor, [dImages, dTexts, dTemperature, dBias]: Tensor[]): Tensor[] {
  return [dImages!.mul(dy), dTexts!.mul(dy), dTemperature!.mul(dy).reshape([1]), dBias!.mul(dy).reshape([1])];
}

/** Sums of losses by text, and the slope of each logit, as it enters gradients of cosines: with their temperature. */
function tileOf(
  images_CE: Tensor,
  texts_KE: Tensor,
  of: {
    readonly temperature: Tensor;
    readonly bias: Tensor;
    readonly batch: number;
    readonly diagonal: boolean;
    readonly negatives: number;
    readonly kin: KinTile | null;
  },
) {
  const { temperature, bias, batch, diagonal, negatives, kin } = of;
  const factor = temperature.div(batch);
  const logits_CK = float32MatMul(images_CE, texts_KE, false, true).mul(temperature).add(bias) as Tensor;
  // -y of each pair: 1 for a text of another picture and -1 for its own, which only tiles on the diagonal have.
  const own_CK = diagonal ? signsOf(logits_CK, images_CE) : null;
  const { signs_CK, counts_CK: kept_CK } = kin ? withKin(kin, own_CK) : { signs_CK: own_CK, counts_CK: null };
  const counts_CK = negatives === 1 ? kept_CK : weighed(kept_CK, signs_CK, negatives);
  const signed_CK = signs_CK ? logits_CK.mul(signs_CK) : logits_CK;
  const sigmoid_CK = signed_CK.sigmoid();
  const slope_CK = (signs_CK ? sigmoid_CK.mul(signs_CK) : sigmoid_CK).mul(factor) as Tensor;
  const d_CK = counts_CK ? slope_CK.mul(counts_CK) : slope_CK;
  const softplus_CK = signed_CK.softplus() as Tensor;
  const losses_CK = counts_CK ? softplus_CK.mul(counts_CK) : softplus_CK;
  // Columns first: XLA adds one element after another, and only columns side by side.
  return { losses_K: losses_CK.sum(0) as Tensor, slopes_K: d_CK.sum(0) as Tensor, d_CK };
}

/** How much each pair counts, where a negative weighs so much and a positive 1. */
function weighed(kept_CK: Tensor | null, signs_CK: Tensor | null, negatives: number): Tensor {
  const weights = signs_CK
    ? signs_CK
        .add(1)
        .mul((negatives - 1) / 2)
        .add(1)
    : tf.scalar(negatives);
  return (kept_CK ? kept_CK.mul(weights) : weights) as Tensor;
}

/** Without a table of labels. Its numbers are inputs of the loop over a tile, which has no constant as large then. */
function signsOf(logits_CK: Tensor, from: Tensor): Tensor {
  const [count, columns] = logits_CK.shape as [number, number];
  const columns_1K = notBefore(rangeOp(columns, 1, 'float32').reshape([1, columns]), from);
  const rows_C1 = notBefore(rangeOp(count, 1, 'float32').reshape([count, 1]), from);
  return tf.scalar(1).sub(tf.scalar(2).mul(tf.maximum(tf.scalar(1).sub(rows_C1.sub(columns_1K).abs()), 0))) as Tensor;
}

/** Sums by the first text of a tile, in that order. */
type Sums = Map<number, Tensor>;

function plus(sums: Sums, at: number, term: Tensor): Tensor {
  const sum = sums.get(at)?.add(term) ?? term;
  sums.set(at, sum);
  return sum;
}

/** The sigmoid loss as an objective; its parameters are among those of the towers. */
export const sigmoid: Objective<SigmoidSettings> = {
  parameters: () => [],
  reads: () => true,
  state: ({ bank }, model) =>
    bank ? [{ name: textBank, shape: [bankRows, embeddingWidth(model)], value: 0, bySlot: true }] : [],
  feeds: (of, _, count) => (of.kin ? { groups: { shape: [count, groupsWidth(of)], dtype: 'int32' } } : {}),
  wholeBatch: ['logit_scale', 'logit_bias'],
  wholeFeeds: ({ kin }) => (kin ? ['groups'] : []),
  loss({ settings: { kin, batches, bank }, p, state, feeds, features }) {
    const { image, text } = features;
    const of = kin ? { as: kin, groups_BG: feeds.groups! } : null;
    const loss = sigmoidLoss(p, image.pooled, text.pooled, undefined, of, batches);
    if (!bank) return { loss };
    const side = sigmoidSide(image.pooled.shape[0]!);
    const others = bankLoss(p, image.pooled, state[textBank]!, { replicas: bank.replicas, side, after: loss });
    const rows = { [unitTexts]: l2Normalise(text.pooled) };
    return { loss: loss.add(others), metrics: { bank: others }, rows };
  },
};
