/** What a word comes to: its tokens one after the other, and their ids. */
interface Encoded {
  readonly ids: readonly number[];
  readonly tokens: readonly string[];
}

/** All of a tokenizer that encoding in pieces needs. */
export interface WordModel {
  encode(text: string): Encoded;
  isToken(text: string): boolean;
}

/** Code units of the longest token. */
export const longestToken = 31;
/** A word of up to so many code units is encoded at once. */
export const shortWord = 128;

/**
 * The ids of a word in pieces, front to back: the same as those of the whole, though what comes behind a piece is not looked
 * at for it, so that the first ids of a word cost as much as they are, however long it is.
 *
 * Why that is so: a merge never reaches over a place where one token ends and another begins, so both sides of such a
 * place are what they would be by themselves. Of a window of the word it is not known whether the last token ends with
 * it. But in the whole word either a token ends there, or one goes on over its end, which is then a token of the vocabulary
 * that is spelt there. Each such token leaves a window of its own, that ends where it begins; a place where tokens of all
 * these windows end is one in the whole word too.
 */
export function* piecesOf(word: string, model: WordModel): Generator<readonly number[]> {
  const spelt = (from: number, end: number) => word.slice(from, end).replaceAll(' ', '▁');
  let size = shortWord;
  for (let from = 0; from < word.length; ) {
    if (from + size >= word.length) {
      yield model.encode(spelt(from, word.length)).ids;
      return;
    }
    const end = isWithinPair(word, from + size) ? from + size - 1 : from + size;
    const window = spelt(from, end);
    const whole = model.encode(window);
    const ends = tokenEnds(window, whole.tokens);
    const after = spelt(end, end + longestToken);
    let sure = ends;
    for (const start of startsOver(window, after, model)) {
      const shorter = window.slice(0, start);
      const own = new Set(tokenEnds(shorter, model.encode(shorter).tokens));
      sure = sure.filter((place) => own.has(place));
    }
    const last = sure.at(-1);
    size = last === undefined ? size * 2 : shortWord;
    if (last === undefined) continue;
    yield whole.ids.slice(0, ends.lastIndexOf(last) + 1);
    from += last;
  }
}

/** Where in `text` the tokens begin that go on into what comes after it. */
function startsOver(text: string, after: string, { isToken }: WordModel): number[] {
  const starts: number[] = [];
  for (let start = text.length - 1; start > text.length - longestToken; start--) {
    const own = text.slice(start);
    const most = longestToken - own.length;
    for (let more = 1; more <= most; more++)
      if (isToken(own + after.slice(0, more))) {
        starts.push(start);
        break;
      }
  }
  return starts;
}

/** Where each token ends; of a character that is none, and so comes to a token for each of its bytes, all end with it. */
function tokenEnds(text: string, tokens: readonly string[]): number[] {
  const ends: number[] = [];
  let at = 0;
  for (let i = 0; i < tokens.length; ) {
    const token = tokens[i]!;
    const isSpelt = text.startsWith(token, at);
    const character = isSpelt ? token : String.fromCodePoint(text.codePointAt(at)!);
    at += character.length;
    for (let rest = isSpelt ? 1 : Buffer.byteLength(character); rest > 0; rest--, i++) ends.push(at);
  }
  return ends;
}

/** Whether the two halves of one character lie around a place. */
const isWithinPair = (text: string, place: number) =>
  /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(text.slice(place - 1, place + 1));
