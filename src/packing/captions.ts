import { CorruptExample } from '../data/example/corrupt-example.ts';
import { textOf } from '../data/example/text-of.ts';
import { isRecord } from '../runtime/json-text.ts';
import type { Captions } from './types.ts';

/** 64 tokens of a text are ever read; a longer one is a page or damage. */
export const longestCaption = 65_536;
/** Texts of a picture in one language: those of its duplicates come to it. */
const mostCaptions = 100;

/** Texts of a column: a text, a list of texts or of objects with one, or either by language. Throws `CorruptExample`. */
export function captionsOf(value: unknown, language: string, column: string): Captions {
  if (isRecord(value) && !('raw' in value))
    return Object.fromEntries(
      Object.entries(value).flatMap(([own, said]) => {
        const texts = textsIn(said, column);
        return texts.length > 0 ? [[own.slice(0, 35), texts]] : [];
      }),
    );
  const texts = textsIn(value, column);
  return texts.length > 0 ? { [language]: texts } : {};
}

function textsIn(value: unknown, column: string): string[] {
  const list = Array.isArray(value) ? value.slice(0, mostCaptions) : [value];
  return list.flatMap((one) => {
    const said = isRecord(one) ? (one.raw ?? one.caption ?? one.text) : one;
    const text = textOf(typeof said === 'bigint' ? Number(said) : said, () => column)?.trim();
    if (text === undefined || text === '') return [];
    const bytes = Buffer.byteLength(text);
    if (bytes > longestCaption)
      throw new CorruptExample(`a caption is too long: ${bytes} bytes, at most ${longestCaption}`);
    return [text];
  });
}

/** The texts of both, each once and those of the first before; at most 100 of a language, or as many as are said. */
export function joinCaptions(first: Captions, second: Captions, most = mostCaptions): Captions {
  const languages = [...new Set([...Object.keys(first), ...Object.keys(second)])];
  return Object.fromEntries(
    languages.map((language) => {
      const all = [...(first[language] ?? []), ...(second[language] ?? [])];
      return [language, [...new Set(all)].slice(0, most)];
    }),
  );
}

export const hasText = (captions: Captions): boolean => Object.values(captions).some((texts) => texts.length > 0);
