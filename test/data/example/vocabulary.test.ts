import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { tokenizerFiles } from '../../../src/data/example/tokenizer.ts';
import { MergeRanks, readVocabulary, type Vocabulary } from '../../../src/data/example/vocabulary.ts';

interface File {
  readonly model: { readonly vocab: Readonly<Record<string, number>>; readonly merges: readonly string[] };
}

let whole: File;
let read: Vocabulary<File>;

beforeAll(() => {
  const { tokenizer } = tokenizerFiles();
  whole = JSON.parse(readFileSync(tokenizer, 'utf8')) as File;
  read = readVocabulary(tokenizer);
});

test('vocabulary and definition are those of the whole JSON', () => {
  expect(read.ids.size).toBe(256_000);
  const entries = Object.entries(whole.model.vocab);
  expect(entries).toHaveLength(read.ids.size);
  expect(entries.filter(([token, id]) => read.ids.get(token) !== id || read.tokens[id] !== token)).toEqual([]);
  expect(read.definition).toEqual({ ...whole, model: { ...whole.model, vocab: {}, merges: [] } });
});

test('each merge of the file has a rank above that of the one before, and no other pair of tokens has any', () => {
  const ranks = new MergeRanks(read.ids);
  let last = -1;
  let out = 0;
  for (const merge of whole.model.merges) {
    const rank = ranks.get(JSON.stringify(merge.split(' '))) ?? -1;
    if (!(rank > last)) out++;
    last = rank;
  }
  expect(out).toBe(0);
  // A fraction beside a rank breaks ties within a word.
  expect(last).toBeLessThan(Number.MAX_SAFE_INTEGER / 2 ** 14);
  let pairs = 0;
  for (const token of read.tokens)
    for (let at = 1; at < token.length; at++)
      if (read.ids.has(token.slice(0, at)) && read.ids.has(token.slice(at))) pairs++;
  expect(whole.model.merges).toHaveLength(pairs);
});
