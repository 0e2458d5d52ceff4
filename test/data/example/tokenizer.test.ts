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
