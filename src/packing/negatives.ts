import { CorruptExample } from '../data/example/corrupt-example.ts';
import { mostNegatives, negativesOfList } from '../data/example/negatives.ts';
import { isRecord } from '../runtime/json-text.ts';
import { joinCaptions, longestCaption } from './captions.ts';
import type { Captions, PackedMeta } from './types.ts';

/** Texts that a row names as wrong for its picture, as training reads them; one text is a list of one. Throws `CorruptExample`. */
export function negativesOf(value: unknown): PackedMeta['negatives'] {
  if (!isRecord(value)) {
    const texts = listOf(value);
    return texts.length > 0 ? texts : undefined;
  }
  const lists = Object.entries(value).flatMap(([language, said]) => {
    const texts = listOf(said);
    return texts.length > 0 ? [[language.slice(0, 35), texts] as const] : [];
  });
  return lists.length > 0 ? Object.fromEntries(lists) : undefined;
}

function listOf(said: unknown): readonly string[] {
  if (said === undefined || said === null) return [];
  const list = Array.isArray(said) ? said.map((one) => (typeof one === 'bigint' ? Number(one) : one)) : said;
  const texts = negativesOfList(typeof list === 'string' ? [list] : list);
  for (const text of texts) {
    const bytes = Buffer.byteLength(text);
    if (bytes > longestCaption)
      throw new CorruptExample(`a text of negatives is too long: ${bytes} bytes, at most ${longestCaption}`);
  }
  return texts;
}

/** What is said of a picture, with the texts of its copies. What is wrong for one of them is wrong for all. */
export function withCopies(meta: PackedMeta, copies: readonly PackedMeta[]): PackedMeta {
  if (copies.length === 0) return meta;
  let { captions } = meta;
  let negatives = byLanguage(meta);
  for (const copy of copies) {
    captions = joinCaptions(captions, copy.captions);
    negatives = joinCaptions(negatives, byLanguage(copy), mostNegatives);
  }
  return { ...meta, captions, ...(Object.keys(negatives).length > 0 && { negatives }) };
}

/** A mere list is for each language that its own row has a text in, and not for those that come from copies. */
function byLanguage({ negatives = {}, captions }: PackedMeta): Captions {
  if (!isList(negatives)) return negatives;
  return Object.fromEntries(Object.keys(captions).map((language) => [language, negatives]));
}

const isList = (negatives: NonNullable<PackedMeta['negatives']>): negatives is readonly string[] =>
  Array.isArray(negatives);
