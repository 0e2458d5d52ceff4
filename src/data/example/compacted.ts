import { RunnerError } from '../../runtime/errors.ts';
import { loadTokenizer, rulesOf, type TextTokenizer, unknownId } from './tokenizer.ts';

/** By id the row of the compacted table; what the table lacks is unknown. */
export function rowsOf(vocabulary: readonly number[]): Int32Array {
  const unknown = vocabulary.indexOf(unknownId);
  if (unknown < 0) {
    throw new RunnerError('DataContract', `data: the compacted vocabulary lacks the unknown token, id ${unknownId}`);
  }
  const rows = new Int32Array(256_000).fill(unknown);
  vocabulary.forEach((id, row) => {
    rows[id] = row;
  });
  return rows;
}

/** A tokenizer whose ids are rows of the compacted table. */
export function compacted(tokenizer: TextTokenizer, vocabulary: readonly number[]): TextTokenizer {
  const rows = rowsOf(vocabulary);
  return {
    ids: (text, limit) => tokenizer.ids(text, limit).map((id) => rows[id]!),
    tokenize: (texts, length) => tokenizer.tokenize(texts, length).map((id) => rows[id]!),
    pieceId: (text) => tokenizer.pieceId(text),
    text: (own) => tokenizer.text(own.map((row) => vocabulary[row]!)),
  };
}

/** That of a plan: by its vocabulary, where it has one, or with the tokens that were added to its model. */
export function tokenizerOf(vocabulary: readonly number[] | null, addedTokens?: readonly string[]): TextTokenizer {
  const tokenizer = loadTokenizer(rulesOf({ text: { addedTokens } }));
  return vocabulary ? compacted(tokenizer, vocabulary) : tokenizer;
}
