import { z } from 'zod';
import { languagePattern } from '../recipe/languages.ts';
import { type Characters, charactersOf } from './characters.ts';
import { hasFileName, isFileName } from './file-names.ts';
import { wordsOf } from './words.ts';

const share = z.number().min(0).max(1);
const length = z.strictObject({
  min: z.int().min(0).optional(),
  max: z.int().min(0).optional(),
});
const phrase = z.string().trim().min(1).max(200);
const where = z.enum(['whole', 'anywhere']);

/** What texts are left out by. A rule that is not given leaves nothing out. The numbers of published sets are in README.md. */
export const textRules = z.strictObject({
  characters: length
    .optional()
    .describe('Characters as readers count them: marks belong to their letters. LAION-400M min 5, DataComp min 6.'),
  words: length
    .optional()
    .describe('Words, by ICU where no blanks part them. DataComp min 3, ALIGN 3 to 20, CC12M 3 to 256.'),
  minLetterShare: share.optional().describe('Letters among the characters that are not blank.'),
  maxDigitShare: share.optional().describe('Digits among the characters that are not blank.'),
  maxSymbolShare: share.optional().describe('Punctuation, signs and emoji among the characters that are not blank.'),
  maxRepeatedWordShare: share
    .optional()
    .describe('Words that came before in the text, among its words: "buy shoes buy shoes" has 0.5.'),
  maxSameInRow: z
    .int()
    .min(1)
    .optional()
    .describe('Equal characters in a row, in either case; blanks and digits do not count.'),
  longestWord: z.int().min(1).optional().describe('Characters of a word. C4: 1000.'),
  addresses: where
    .optional()
    .describe('Addresses of the web and of mail. whole: the text is one. anywhere: it has one.'),
  fileNames: where
    .optional()
    .describe('Names of pictures, such as IMG_1234.JPG. whole: the text is one. anywhere: it has one.'),
  markup: z.literal(true).optional().describe('Tags and entities of HTML, braces and javascript, as C4.'),
  broken: z
    .literal(true)
    .optional()
    .describe('Replacement characters, controls, private use and lone surrogates: what a wrong decoder leaves.'),
  upperCase: z
    .literal(true)
    .optional()
    .describe('Texts of at least two words all in capitals; scripts without case stay.'),
  languages: z
    .array(z.string().regex(languagePattern, 'a language tag (BCP 47), such as en, zh-CN or es-419'))
    .min(1)
    .optional()
    .describe('Languages that stay, by the tag of the text; tags are compared letter by letter.'),
  boilerplate: z
    .strictObject({
      whole: z.array(phrase).max(10_000).optional(),
      anywhere: z.array(phrase).max(1000).optional(),
    })
    .optional()
    .describe('Phrases without regard to case and blanks. whole: the text is one. anywhere: it has one.'),
});
export type TextRules = z.infer<typeof textRules>;

type Verdict = string | undefined;

/**
 * Why a text is left out by these rules; undefined where it stays. The reason names the rule with its bound and nothing of the
 * text, so that texts can be counted by reason. Time is linear in the text: about 4 us for a caption of ten words, and 1 s for 1 MB of Thai.
 *
 * @param language the tag of the text; without one, `languages` leaves nothing out
 */
export function textVerdict(text: string, rules: TextRules, language?: string): Verdict {
  if (rules.languages && language !== undefined && !rules.languages.includes(language))
    return 'its language is not among languages';
  return byCharacters(text, rules) ?? byPatterns(text, rules) ?? byPhrases(text, rules) ?? byWords(text, rules);
}

function byCharacters(text: string, rules: TextRules): Verdict {
  const found = charactersOf(text);
  const { of, visible } = found;
  const letters = of.upper + of.lower + of.caseless;
  const over = (bound: number | undefined, count: number) => bound !== undefined && count > bound * visible;
  return (
    (rules.broken && of.broken > 0 ? 'it has characters of a wrong decoder' : undefined) ??
    between(rules.characters, found.length, 'characters') ??
    (rules.minLetterShare !== undefined && letters < rules.minLetterShare * visible
      ? `letters are less than ${rules.minLetterShare} of it`
      : undefined) ??
    (over(rules.maxDigitShare, of.digit) ? `digits are more than ${rules.maxDigitShare} of it` : undefined) ??
    (over(rules.maxSymbolShare, of.punctuation + of.symbol)
      ? `punctuation and signs are more than ${rules.maxSymbolShare} of it`
      : undefined) ??
    (rules.maxSameInRow !== undefined && found.longestRun > rules.maxSameInRow
      ? `it has more than ${rules.maxSameInRow} equal characters in a row`
      : undefined) ??
    (rules.upperCase && isUpperCase(text, of) ? 'it is all in capitals' : undefined)
  );
}

/** Names and abbreviations are one word; of caseless letters nothing is said. */
function isUpperCase(text: string, of: Characters['of']): boolean {
  if (of.lower > 0 || of.upper <= of.caseless) return false;
  let words = 0;
  for (const word of text.split(/\s+/u)) if (/\p{Lu}/u.test(word) && ++words === 2) return true;
  return false;
}

function between(bounds: TextRules['characters'], value: number, unit: string): Verdict {
  if (bounds?.min !== undefined && value < bounds.min) return `it has fewer than ${bounds.min} ${unit}`;
  if (bounds?.max !== undefined && value > bounds.max) return `it has more than ${bounds.max} ${unit}`;
  return undefined;
}

const address = /(?:https?:\/\/|ftp:\/\/|\bwww\.)[^\s]|[\p{L}\p{N}]@[\p{L}\p{N}-]{1,63}\.\p{L}/iu;
/** Also names of sites without anything before them: photos.example.com/a.html. */
const wholeAddress =
  /^(?:[a-z]+:\/\/\S+|(?:mailto:)?[^\s@]+@[^\s@]+\.[^\s@]+|(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}(?:[/?#]\S*)?)$/iu;
/** Of a tag only its beginning: an end would be sought from each beginning anew. */
const markup = /<\/?[a-z][a-z0-9]{0,10}(?:[\s/>]|$)|<!--|&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z]{2,8});|[{}]|javascript/iu;

function byPatterns(text: string, { addresses, fileNames, ...rules }: TextRules): Verdict {
  const whole = text.trim();
  // Longer ones exist, and no caption is one.
  const isAddress = () => whole.length <= 2048 && wholeAddress.test(whole);
  if (addresses === 'whole' && isAddress()) return 'it is an address';
  if (addresses === 'anywhere' && (address.test(text) || isAddress())) return 'it has an address in it';
  if (fileNames === 'whole' && isFileName(text)) return 'it is the name of a file';
  if (fileNames === 'anywhere' && (hasFileName(text) || isFileName(text))) return 'it has the name of a file in it';
  if (rules.markup && markup.test(text)) return 'it has markup in it';
  return undefined;
}

const plain = (text: string) => text.toLowerCase().replaceAll(/\s+/gu, ' ').trim();

type Boilerplate = NonNullable<TextRules['boilerplate']>;
/** Phrases as they are compared, made once for all texts. */
const compared = new WeakMap<
  Boilerplate,
  { readonly whole: ReadonlySet<string>; readonly anywhere: readonly string[] }
>();

function byPhrases(text: string, { boilerplate }: TextRules): Verdict {
  if (!boilerplate) return undefined;
  let phrases = compared.get(boilerplate);
  if (!phrases) {
    phrases = {
      whole: new Set(boilerplate.whole?.map(plain)),
      anywhere: (boilerplate.anywhere ?? []).map(plain),
    };
    compared.set(boilerplate, phrases);
  }
  const own = plain(text);
  if (phrases.whole.has(own)) return 'it is boilerplate';
  if (phrases.anywhere.some((phrase) => own.includes(phrase))) return 'it has boilerplate in it';
  return undefined;
}

function byWords(text: string, { words, maxRepeatedWordShare, longestWord }: TextRules): Verdict {
  if (!words && maxRepeatedWordShare === undefined && longestWord === undefined) return undefined;
  const distinct = new Set<string>();
  let count = 0;
  let longest = 0;
  for (const word of wordsOf(text)) {
    count++;
    distinct.add(word);
    longest = Math.max(longest, word.length);
  }
  return (
    between(words, count, 'words') ??
    (maxRepeatedWordShare !== undefined && count - distinct.size > maxRepeatedWordShare * count
      ? `words that came before are more than ${maxRepeatedWordShare} of its words`
      : undefined) ??
    (longestWord !== undefined && longest > longestWord
      ? `it has a word of more than ${longestWord} characters`
      : undefined)
  );
}
