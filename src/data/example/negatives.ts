import { isRecord } from '../../runtime/json-text.ts';
import { CorruptExample } from './corrupt-example.ts';
import { textsOf } from './text-of.ts';
import type { ExampleMeta } from './types.ts';

/** More are never drawn from: a list of thousands would be gone through for each batch. */
export const mostNegatives = 1024;

/**
 * Texts in a language that the JSON of an example names as wrong for its picture: `negatives` is a list, or lists by language.
 * Each once; without those that the example has as captions. Throws `CorruptExample`, naming the field.
 */
export function negativesIn(
  { negatives, captions }: Pick<ExampleMeta, 'negatives' | 'captions'>,
  language: string,
): string[] {
  if (negatives === undefined || negatives === null) return [];
  // All of them, whatever is asked for: that an example can't be used must not depend on what was drawn of it.
  const lists = new Map((isRecord(negatives) ? Object.entries(negatives) : [[language, negatives] as const]).map(read));
  const right = new Set(Object.values(captions).flat().map(plain));
  const found = new Map(
    (lists.get(language) ?? []).filter((text) => !right.has(plain(text))).map((text) => [plain(text), text]),
  );
  return [...found.values()];
}

const read = ([language, said]: readonly [string, unknown]): [string, string[]] => [language, negativesOfList(said)];

/** The texts of one list. Throws `CorruptExample` for what is none. */
export function negativesOfList(said: unknown): string[] {
  if (!Array.isArray(said))
    throw new CorruptExample('negatives is no list of texts, such as ["a cat on a table"], nor lists by language');
  return textsOf(said.slice(0, mostNegatives), 'negatives');
}

/** As texts are trained on. */
const plain = (text: string) => text.toLowerCase().trim();
