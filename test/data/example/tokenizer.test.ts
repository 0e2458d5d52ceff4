import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadTokenizer, lowerCase } from '../../../src/data/example/tokenizer.ts';

const fixture = readFileSync(new URL('./fixtures/token-ids.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as { text: string; ids: number[] });

test('215 texts in 16 languages get the ids of the reference implementation', () => {
  const tokenizer = loadTokenizer();
  expect(fixture).toHaveLength(215);
  for (const { text, ids } of fixture) expect({ text, ids: tokenizer.ids(text) }).toEqual({ text, ids });
  // Again, from the words that are kept now.
  for (const { text, ids } of fixture) expect({ text, ids: tokenizer.ids(text) }).toEqual({ text, ids });
});

test('a short text ends in one end mark and padding, a long one is cut before its end mark', () => {
  const tokenizer = loadTokenizer();
  const photo = [235250, 2686, 576, 476, 4401, 235265];
  expect([...tokenizer.tokenize(['A photo of a cat.'], 10)]).toEqual([...photo, 1, 0, 0, 0]);
  expect([...tokenizer.tokenize(['A photo of a cat.', 'cat'], 7)]).toEqual([...photo, 1, 4991, 1, 0, 0, 0, 0, 0]);
  expect([...tokenizer.tokenize(['A photo of a cat.'], 6)]).toEqual([...photo.slice(0, 5), 1]);
  expect([...tokenizer.tokenize(['A photo of a cat.'], 2)]).toEqual([235250, 1]);
  expect([...tokenizer.tokenize([''], 3)]).toEqual([1, 0, 0]);
});

test('lower case is per character, so that a final sigma is as in the reference', () => {
  expect(lowerCase('ΟΔΟΣ')).toBe('οδοσ');
  expect('ΟΔΟΣ'.toLowerCase()).toBe('οδος');
});

test('special tokens are looked for as they are spelt, before lower-casing, as the exported tokenizer.json has it', () => {
  // Of tokenizers 0.23.3, from the tokenizer.json of an exported folder.
  const ids = {
    '<EOS> end': [235322, 96396, 235313, 1580],
    '<PAD> pad': [235322, 8939, 235313, 7174],
    'A <Unk>': [235250, 968, 3621, 235313],
    '<eos>': [1],
    '<pad> a': [0, 476],
    'a<PAD><pad>b': [235250, 235322, 8939, 235313, 0, 235268],
    '<Eos><eos><EOS>': [235322, 96396, 235313, 1, 235322, 96396, 235313],
  };
  const tokenizer = loadTokenizer();
  expect(Object.fromEntries(Object.keys(ids).map((text) => [text, tokenizer.ids(text)]))).toEqual(ids);
  expect(tokenizer.ids('<pad>'.repeat(200_000), 3)).toEqual([0, 0, 0]);
});
