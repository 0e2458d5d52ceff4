import { genericWords, stopWords } from './words.ts';

/**
 * A text as a detector is asked it: lower-case words with one space between them, and no punctuation but the hyphen
 * within words (scenic's owl_vit does so for ASCII; letters and digits of every script stay here).
 */
export const canonical = (text: string): string => wordsOf(text).join(' ');

const wordsOf = (text: string): string[] =>
  text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{M}\p{N}-]+/gu, ' ')
    .split(' ')
    .flatMap((word) => word.replaceAll(/-+/g, '-').replaceAll(/^-|-$/g, '') || []);

/**
 * Queries of a caption: its word n-grams, each once, in the order of where they begin and then of their lengths, without
 * generic words, and none of stop words alone (OWLv2, arXiv 2306.09683, A.2, NLTK's everygrams).
 *
 * @param longest words of an n-gram, at most
 * @param most queries, at most: the first ones
 */
export function ngramsOf(caption: string, longest: number, most: number): string[] {
  const words = wordsOf(caption).filter((word) => !genericWords.has(word));
  const queries = new Set<string>();
  for (let first = 0; first < words.length; first++) {
    let says = false;
    for (let end = first + 1; end <= Math.min(words.length, first + longest); end++) {
      if (queries.size >= most) return [...queries];
      says ||= !stopWords.has(words[end - 1]!);
      if (says) queries.add(words.slice(first, end).join(' '));
    }
  }
  return [...queries];
}

/** The queries of several captions of one picture, `most` at most: a query of each in turn, so that none is left out. */
export function ngramsOfAll(captions: readonly string[], longest: number, most: number): string[] {
  const lists = captions.map((caption) => ngramsOf(caption, longest, most));
  const queries = new Set<string>();
  for (let i = 0; lists.some((list) => i < list.length); i++) {
    for (const list of lists) {
      if (queries.size >= most) return [...queries];
      if (i < list.length) queries.add(list[i]!);
    }
  }
  return [...queries];
}

/** The seven templates that CLIP's authors found best together, over which OWL-ViT ensembles too. */
export const bestTemplates = [
  'itap of a {}.',
  'a bad photo of the {}.',
  'a origami {}.',
  'a photo of the large {}.',
  'a {} in a video game.',
  'art of the {}.',
  'a photo of the small {}.',
] as const;

/** A query in a template, as it is asked. */
export const inTemplate = (query: string, template: string): string =>
  canonical(template.replaceAll('{}', () => query));

/** Texts as they are asked, each once. */
export const categoriesOf = (texts: readonly string[]): string[] => [
  ...new Set(texts.map(canonical).filter((text) => text !== '')),
];
