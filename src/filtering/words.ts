/** Letters, their marks, digits, and what joins them; apostrophes and hyphens where a letter follows. */
const runs = /[\p{L}\p{M}\p{N}\u200C\u200D]+(?:['’-]\p{L}[\p{L}\p{M}\p{N}\u200C\u200D]*)*/gu;

/** Of scripts that put no blanks between words. */
const unspaced =
  '\\p{scx=Han}\\p{scx=Hiragana}\\p{scx=Katakana}\\p{scx=Thai}\\p{scx=Lao}\\p{scx=Khmer}\\p{scx=Myanmar}';
const isUnspaced = new RegExp(`[${unspaced}]`, 'u');
const byScript = new RegExp(`[${unspaced}]+|[^${unspaced}]+`, 'gu');

/** ICU's dictionaries of Chinese, Japanese, Thai, Lao, Khmer and Burmese. */
const segmenter = new Intl.Segmenter('en', { granularity: 'word' });

/** V8 takes time with the square of the text's length: 52 s for 250,000 letters, and 0.1 s in pieces of this many. */
const pieceUnits = 100;

/**
 * The words of a text, in lower case. Where a script has no blanks between them they are those of ICU's dictionaries; two may
 * be cut where a run of more than 100 letters is taken in pieces.
 */
export function* wordsOf(text: string): Generator<string> {
  for (const [run] of text.toLowerCase().matchAll(runs)) {
    if (!isUnspaced.test(run)) {
      yield run;
      continue;
    }
    for (const [part] of run.matchAll(byScript)) {
      if (!isUnspaced.test(part)) yield part;
      else
        for (const piece of piecesOf(part))
          for (const { segment, isWordLike } of segmenter.segment(piece)) if (isWordLike) yield segment;
    }
  }
}

const plainRuns = /[\p{L}\p{M}\p{N}\u200C\u200D]+/gu;

/** Longer texts are compared as they are written: a run of many marks takes normalisation time with its square. */
const longestNormalised = 10_000;

/**
 * What phrases are compared by: words without regard to case, parted at apostrophes and hyphens too, and letters of scripts
 * without blanks one by one, since what a dictionary makes of them hangs on what stands beside them.
 */
export function* plainUnitsOf(text: string): Generator<string> {
  const plain = text.length <= longestNormalised ? text.normalize('NFKC') : text;
  for (const [run] of plain.toLowerCase().matchAll(plainRuns)) {
    if (!isUnspaced.test(run)) yield run;
    else for (const [part] of run.matchAll(byScript)) yield* isUnspaced.test(part) ? part : [part];
  }
}

const isMark = /^\p{M}/u;

function* piecesOf(part: string): Generator<string> {
  for (let from = 0; from < part.length; ) {
    let to = Math.min(part.length, from + pieceUnits);
    // A pair of surrogates, or a letter and its marks, stay together; more marks in a row than this are no text.
    for (let more = 0; more < 16 && to < part.length; more++, to++) {
      const unit = part.charCodeAt(to);
      if (!(unit >= 0xdc00 && unit <= 0xdfff) && !isMark.test(part.slice(to, to + 2))) break;
    }
    yield part.slice(from, to);
    from = to;
  }
}
