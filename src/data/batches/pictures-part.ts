import { createHash } from 'node:crypto';
import { pictureWidth } from '../../recipe/batch-plan.ts';
import type { BatchPart } from './batch-part.ts';

/**
 * Which picture an example shows, as 128 bits of a hash of its pixels and of what is seen of them: equal numbers, equal rows of
 * `images`. It is of the content, so that other data under the same names is never mistaken for it. The threads that decode
 * compute it, beside the trainer.
 */
export const picturesPart: BatchPart<Readonly<Record<never, never>>> = {
  arrays: () => ({ pictures: { dtype: 'int32', size: pictureWidth } }),
  fill({ pixels, crop }, _, __, { pictures }) {
    const digest = createHash('sha256')
      .update(`${pixels.width} ${JSON.stringify(crop)}\0`)
      .update(pixels.data)
      .digest();
    for (let i = 0; i < pictureWidth; i++) pictures![i] = digest.readInt32LE(4 * i);
  },
};
