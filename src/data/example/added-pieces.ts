import type { TextTokenizer } from './tokenizer.ts';

/** Why a token can't be added to a model that has this tokenizer, or null. */
export function pieceProblem(token: string, tokenizer: Pick<TextTokenizer, 'ids'>): string | null {
  const [id, ...others] = tokenizer.ids(token, 2);
  if (others.length > 0) return null;
  return `has ${JSON.stringify(token)}, which is one piece already, with the id ${id}; what is more than one is allowed`;
}
