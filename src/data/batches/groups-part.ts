import { createHash } from 'node:crypto';
import { groupsOfExample, groupsWidth, textsOfExample } from '../../recipe/batch-plan.ts';
import type { BatchPart } from './batch-part.ts';

/**
 * What examples may have in common, as numbers: the text that is drawn, the class, and the picture. Of the first 31 bits of a hash
 * two in a batch of 32,768 are the same by chance once in four batches, which costs a negative of a thousand million.
 */
export const groupsPart: BatchPart<{ readonly anyText?: true }> = {
  arrays: (settings) => ({ groups: { dtype: 'int32', size: groupsWidth(settings) } }),
  fill({ text, said = text, meta, pixels }, { anyText }, _, { groups }) {
    // Texts are trained on in small letters. A picture is its width and its pixels, before anything is cut off.
    groups!.set([ofText(text), numberOf('class', meta.concept), numberOf(`picture ${pixels.width}`, pixels.data)]);
    if (!anyText) return;
    const drawn = ofText(said);
    const own = Object.keys(meta.captions)
      .sort()
      .flatMap((language) => meta.captions[language]!)
      .slice(0, textsOfExample)
      .map(ofText);
    // What is left of the places says again what is drawn: it is a text of this example anyway.
    groups!.set([drawn, ...own, ...Array<number>(textsOfExample - own.length).fill(drawn)], groupsOfExample);
  },
};

const ofText = (text: string) => numberOf('text', text.toLowerCase().trim());
const numberOf = (kind: string, content: string | Uint8Array): number =>
  createHash('sha256').update(kind).update('\0').update(content).digest().readUInt32LE() >>> 1;
