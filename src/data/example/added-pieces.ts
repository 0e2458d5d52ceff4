import { lowerCase, type TextTokenizer } from './tokenizer.ts';

/**
 * Why a token can't be added to a model that has this tokenizer, or null. What Gemma's vocabulary has, as it is written or as texts
 * are read, would have its old id in transformers: a name of capitals that no text comes to is such, since texts are
 * lower-cased.
 */
export function pieceProblem(token: string, tokenizer: Pick<TextTokenizer, 'ids' | 'pieceId'>): string | null {
  const [first, ...others] = tokenizer.ids(token, 2);
  const id = others.length === 0 ? first : (tokenizer.pieceId(token) ?? tokenizer.pieceId(lowerCase(token)));
  if (id === undefined) return null;
  return `has ${JSON.stringify(token)}, which is one piece already, with the id ${id}; what is more than one is allowed`;
}
