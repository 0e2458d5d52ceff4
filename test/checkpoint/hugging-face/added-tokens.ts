import type { ModelConfig } from '../../../src/model/sizes.ts';
import { wholeVocabulary } from '../../../src/model/sizes.ts';

/** Words that a person may add: one in another, one of capitals, one of several scripts, what means something to patterns. */
export const words = ['<sku>', '<sku>-xl', 'Ṣaḥīḥ', 'ΣΚΥΛΟΣ', 'a.b*(c)', 'क्षत्रिय', 'zyxxyz'];

/** A model of a few numbers with these words. */
export const wordModel = (addedTokens?: readonly string[]): ModelConfig => {
  const tower = { width: 8, depth: 1, mlp: 8, heads: 2 };
  const text = { ...tower, length: 16, ...(addedTokens && { addedTokens }) };
  return { vision: { ...tower, patch: 4, resolution: 8 }, text: { ...text, vocabulary: wholeVocabulary(text) } };
};
