import { createHash } from 'node:crypto';
import { groupsOfExample } from '../../recipe/batch-plan.ts';
import type { BatchPart } from './batch-part.ts';

/**
 * What examples may have in common, as numbers: the text that is drawn, the class, and the picture. Of the first 31 bits of a hash
 * two in a batch of 32,768 are the same by chance once in four batches, which costs a negative of a thousand million.
 */
export const groupsPart: BatchPart<Readonly<Record<never, never>>> = {
  arrays: () => ({ groups: { dtype: 'int32', size: groupsOfExample } }),
  fill({ text, meta, pixels }, _, __, { groups }) {
    // Texts are trained on in small letters. A picture is its width and its pixels, before anything is cut off.
    groups!.set([
      numberOf('text', text.toLowerCase().trim()),
      numberOf('class', meta.concept),
      numberOf(`picture ${pixels.width}`, pixels.data),
    ]);
  },
};

const numberOf = (kind: string, content: string | Uint8Array): number =>
  createHash('sha256').update(kind).update('\0').update(content).digest().readUInt32LE() >>> 1;
