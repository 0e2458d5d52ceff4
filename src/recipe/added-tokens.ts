import { z } from 'zod';

/** Of a model: each text is looked through for all of them. */
const most = 1000;

/** Texts that become tokens of their own, in the order of their ids. */
export const addedTokens = z.array(z.string().min(1).max(64)).min(1).max(most);

/** What Gemma's tokenizer looks for in a text before anything else. */
const reserved = ['<pad>', '<eos>', '<bos>', '<unk>'];

/** As texts are read: lower-cased, each character by itself. */
const asRead = (token: string): string => [...token].map((character) => character.toLowerCase()).join('');

/** What is wrong with the added tokens of a model, or null. Whether one is a piece already, only the tokenizer knows. */
export function addedProblem(tokens: readonly string[]): string | null {
  if (tokens.length > most) return `makes ${tokens.length} added tokens of the model; at most ${most} are allowed`;
  const seen = new Map<string, string>();
  for (const token of tokens) {
    const problem = problemOf(token, seen.get(asRead(token)));
    if (problem !== null) return `has ${JSON.stringify(token)}, ${problem}`;
    seen.set(asRead(token), token);
  }
  return null;
}

function problemOf(token: string, before: string | undefined): string | null {
  if (/[\p{Cc}\p{Cs}]/u.test(token))
    return 'with a control character or half of a character; a token without is allowed';
  if (/[\s▁]/u.test(token)) return 'with white space, or ▁, which stands for it; a token without is allowed';
  const found = reserved.find((one) => token.toLowerCase().includes(one));
  if (found) return `with ${found} in it, which has a meaning of its own; a token without is allowed`;
  if (before === undefined) return null;
  return before === token
    ? 'which the model has already; each once is allowed'
    : `which is read as ${JSON.stringify(before)} is, since texts are lower-cased; one of them is allowed`;
}
