/** Words that COCO's evaluation passes over (ptbtokenizer.py). Brackets stay, since it compares them before they are small. */
const passedOver = new Set(["''", "'", '``', '`', '.', '?', '!', ',', ':', '-', '--', '...', ';']);

/** What a full stop belongs to. */
const abbreviations = [
  ...['mr', 'mrs', 'ms', 'dr', 'prof', 'st', 'sts', 'jr', 'sr', 'vs', 'etc', 'inc', 'co', 'corp', 'ltd', 'bros', 'gen'],
  ...[
    'capt',
    'col',
    'lt',
    'sgt',
    'rev',
    'gov',
    'sen',
    'rep',
    'ave',
    'blvd',
    'rd',
    'mt',
    'ft',
    'dept',
    'e\\.g',
    'i\\.e',
  ],
  ...[
    'jan',
    'feb',
    'mar',
    'apr',
    'jun',
    'jul',
    'aug',
    'sep',
    'sept',
    'oct',
    'nov',
    'dec',
    'mon',
    'tues',
    'wed',
    'thurs',
    'fri',
  ],
].join('|');

/** What a token is, the first that fits: addresses, numbers, words with their hyphens, then marks. */
const token = new RegExp(
  [
    String.raw`(?:https?:\/\/|www\.)[^\s"<>]*[^\s"<>.,;:!?)\]}']`,
    String.raw`[\p{L}\p{N}._%+-]{1,64}@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,}`,
    String.raw`(?:${abbreviations})\.(?![\p{L}\p{N}])`,
    String.raw`no\.(?=\s*\d)`,
    String.raw`\p{L}(?:\.\p{L})+(?:\.(?!\p{L})|(?![\p{L}\p{N}]))`,
    String.raw`(?<![\p{L}\p{N}'])\p{L}\.(?!\p{L})`,
    String.raw`(?<![^\s(])[+-]\d+(?:[.,:\/]\d+)*`,
    String.raw`'(?:em|tis|twas)(?![\p{L}\p{N}])`,
    String.raw`'\d0s|'n'|y'(?=all)`,
    String.raw`\d+:\d\d(?=[ap]m(?!\p{L}))`,
    // It does not part words that a mark joins: "a hat!it is" has a "hat!it".
    String.raw`\p{L}{2,}(?:[.!?]\p{L}{2,})+(?![\p{L}'])`,
    String.raw`\p{L}{1,2}(?:&\p{L}{1,2})+(?!\p{L})`,
    String.raw`#[\p{L}_][\p{L}\p{N}_]*`,
    String.raw`@[\p{L}_][\p{L}\p{N}_]*`,
    String.raw`o'clock|(?:[do]|l)'(?=\p{L}{2})[\p{L}]+(?:-[\p{L}\p{N}]+)*`,
    // Before a contraction the word stops; within hyphens and slashes it goes on.
    String.raw`(?:[\p{L}\p{M}]+?)(?=n't(?![\p{L}]))`,
    String.raw`n't(?!\p{L})`,
    String.raw`'(?:s|m|d|ll|re|ve)(?![\p{L}\p{N}])`,
    String.raw`\d+(?:[.,:\/]\d+)*(?:-\d+(?:[.,:\/]\d+)*)*(?:(?:-?[\p{L}\p{N}]+)(?:[-\/_][\p{L}\p{N}]+)*)?`,
    String.raw`\.\d+`,
    String.raw`[\p{L}\p{M}\p{N}_]+(?:[-\/_][\p{L}\p{M}\p{N}]+)*`,
    String.raw`<\/?\p{L}[\p{L}\p{N}]*>|\.{3,}|\.\s\.\s\.|--+|[!?]+|\*+|''|\x60\x60`,
    String.raw`\S`,
  ].join('|'),
  'gu',
);

/** Words that are two. */
const twofold: Readonly<Record<string, readonly string[]>> = {
  cannot: ['can', 'not'],
  gonna: ['gon', 'na'],
  gotta: ['got', 'ta'],
  wanna: ['wan', 'na'],
  gimme: ['gim', 'me'],
  lemme: ['lem', 'me'],
  "'tis": ["'t", 'is'],
  "'twas": ["'t", 'was'],
};

const brackets: Readonly<Record<string, string>> = {
  '(': '-lrb-',
  ')': '-rrb-',
  '[': '-lsb-',
  ']': '-rsb-',
  '{': '-lcb-',
  '}': '-rcb-',
};

/**
 * The words of a caption, small, as COCO's evaluation counts them: Stanford's PTBTokenizer 3.4.1 with punctuation passed over.
 * A page for what is 30,000 lines there: the same for all but 2 of the hard lines in the tests, and for 1,000 captions of COCO's
 * server that have no marks. Smileys and markup may be cut elsewhere. Both sides of a comparison are cut alike.
 */
export function captionWords(caption: string): string[] {
  const text = caption
    .toLowerCase()
    .replace(/[‘’‛´]/g, "'")
    .replace(/[“”„]/g, '"')
    .replace(/[–—]/g, ' -- ')
    .replace(/…/g, ' ... ')
    // Currencies as it knows them, and fractions in full.
    .replace(/£/g, '#')
    .replace(/€/g, '$')
    .replace(/[¼½¾]/g, (one) => ({ '¼': '1/4', '½': '1/2', '¾': '3/4' })[one]!);
  return [...text.matchAll(token)]
    .flatMap(([found]) => twofold[found] ?? [brackets[found] ?? found])
    .filter((word) => word !== '"' && !passedOver.has(word));
}
