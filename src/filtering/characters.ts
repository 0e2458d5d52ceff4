/** What a code point is, as far as rules ask. Marks and joiners belong to the character before them. */
export const kinds = [
  'blank',
  'upper',
  'lower',
  'caseless',
  'digit',
  'punctuation',
  'symbol',
  'joined',
  'broken',
] as const;
export type Kind = (typeof kinds)[number];

const number = Object.fromEntries(kinds.map((kind, i) => [kind, i])) as Record<Kind, number>;

/** In this order; the first that fits counts. What is left are code points that this Unicode does not know: symbols. */
const tests: readonly (readonly [RegExp, Kind])[] = [
  // Marks between syllables in Tibetan, and between words in Ethiopic.
  [/[\s\p{Z}\u0F0B\u0F0C\u1361]/u, 'blank'],
  // Replacement characters, lone surrogates, controls and private use: what a wrong decoder leaves.
  [/[\uFFFD\p{Cs}\p{Cc}\p{Co}\p{Noncharacter_Code_Point}]/u, 'broken'],
  [/[\p{M}\p{Cf}\p{Emoji_Modifier}]/u, 'joined'],
  // Its plain letters are capitals by Unicode.
  [/\p{Script=Cherokee}/u, 'caseless'],
  [/[\p{Lu}\p{Lt}]/u, 'upper'],
  [/\p{Ll}/u, 'lower'],
  [/\p{L}/u, 'caseless'],
  [/\p{N}/u, 'digit'],
  [/\p{P}/u, 'punctuation'],
];

/** Kinds of 256 code points at a time, made when one of them is first met: a test by itself costs 50 ns, a look-up 2. */
const pages: (Uint8Array | undefined)[] = new Array(0x1100);

function pageOf(index: number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, i) => {
    const character = String.fromCodePoint(256 * index + i);
    return number[tests.find(([test]) => test.test(character))?.[1] ?? 'symbol'];
  });
}

/** How the characters of a text are spread over the kinds. */
export interface Characters {
  readonly of: Readonly<Record<Kind, number>>;
  /** Without blanks at both ends and without what is joined to others: about what a reader counts. */
  readonly length: number;
  /** Neither blank nor joined. */
  readonly visible: number;
  /** The most equal characters in a row, letters in either case; of blanks and digits none are counted. */
  readonly longestRun: number;
}

/** One pass over a text of any script. */
export function charactersOf(text: string): Characters {
  const counts = new Float64Array(kinds.length);
  const trimmed = text.trim();
  let last = -1;
  let run = 0;
  let longestRun = 0;
  for (let i = 0; i < trimmed.length; i++) {
    const code = trimmed.codePointAt(i)!;
    if (code > 0xffff) i++;
    let page = pages[code >>> 8];
    if (page === undefined) {
      page = pageOf(code >>> 8);
      pages[code >>> 8] = page;
    }
    const kind = page[code & 255]!;
    counts[kind] = counts[kind]! + 1;
    if (kind === number.joined) continue;
    if (kind === number.blank || kind === number.digit) {
      last = -1;
      continue;
    }
    // ASCII alone: of other cases a run is seldom, and a text of a megabyte would be turned letter by letter.
    const folded = code >= 65 && code <= 90 ? code + 32 : code;
    run = folded === last ? run + 1 : 1;
    last = folded;
    if (run > longestRun) longestRun = run;
  }
  const of = Object.fromEntries(kinds.map((kind, i) => [kind, counts[i]!])) as Record<Kind, number>;
  const all = counts.reduce((sum, count) => sum + count, 0);
  return { of, length: all - of.joined, visible: all - of.joined - of.blank, longestRun };
}
