import type { Tensor } from '@tensorflow/tfjs';
import { groupsOfExample } from '../recipe/batch-plan.ts';
import { tf } from '../runtime/tensorflow.ts';

/** Which pairs of two examples of a batch are no negatives, and what they are then. */
export interface Kin {
  /**
   * (B, G) int32: two examples with the same number in any of three columns are kin. Further columns, where there are any: the
   * text of an example, and the texts that it has; a text and a picture are kin where the picture has that text.
   */
  readonly groups_BG: Tensor;
  /** Their pairs are left out of the loss, or are positives, as an example's own pair is. */
  readonly as: 'ignored' | 'positive';
}

/** Of a tile: of its C images and of its K texts. */
export interface KinTile {
  readonly as: Kin['as'];
  readonly images_CG: Tensor;
  readonly texts_KG: Tensor;
}

/** Of a tile whose images and texts begin at these rows. */
export function kinAt(kin: Kin | null, image: number, text: number, side: number): KinTile | null {
  if (!kin) return null;
  const { as, groups_BG } = kin;
  const [batch, columns] = groups_BG.shape as [number, number];
  const rows = (first: number) => groups_BG.slice([first, 0], [Math.min(side, batch - first), columns]);
  return { as, images_CG: rows(image), texts_KG: rows(text) };
}

/**
 * -y of each pair of a tile, and where kin are left out whether a pair counts. `own_CK`: -1 for an example's own pair and 1 for
 * others; null where the tile has no own pairs.
 */
export function withKin(
  { as, images_CG, texts_KG }: KinTile,
  own_CK: Tensor | null,
): { signs_CK: Tensor | null; counts_CK: Tensor | null } {
  const kin_CK = kinOf(images_CG, texts_KG);
  // An example is its own kin.
  if (as === 'positive') return { signs_CK: tf.scalar(1).sub(kin_CK.mul(2)) as Tensor, counts_CK: null };
  const others_CK = own_CK ? kin_CK.mul(own_CK.add(1).mul(0.5)) : kin_CK;
  return { signs_CK: own_CK, counts_CK: tf.scalar(1).sub(others_CK) as Tensor };
}

/** (C, K) 1 for kin. */
function kinOf(images_CG: Tensor, texts_KG: Tensor): Tensor {
  const [count, columns] = images_CG.shape as [number, number];
  const rows = texts_KG.shape[0]!;
  const equal = (image: number, text: number) =>
    tf.equal(images_CG.slice([0, image], [count, 1]), texts_KG.slice([0, text], [rows, 1]).reshape([1, rows]));
  const each = Array.from({ length: columns }, (_, g) => g)
    .filter((g) => g !== groupsOfExample)
    .map((g) => equal(g, Math.min(g, groupsOfExample)));
  return each.reduce((any, one) => tf.logicalOr(any, one)).cast('float32');
}
