import { readFileSync } from 'node:fs';
import { Tokenizer } from '@huggingface/tokenizers';
import { describe, expect, it } from 'vitest';
import { longestToken } from '../../../src/data/example/long-word.ts';
import { loadTokenizer, lowerCase, tokenizerFiles } from '../../../src/data/example/tokenizer.ts';
import { randomStream } from '../../../src/runtime/random.ts';

const files = tokenizerFiles();
const definition = JSON.parse(readFileSync(files.tokenizer, 'utf8')) as {
  model: { merges: string[]; vocab: Record<string, number> };
};
const tokens = Object.keys(definition.model.vocab);
definition.model.merges = definition.model.merges.filter((merge) => merge.toLowerCase() === merge);
/** The library, given texts whole. */
const whole = new Tokenizer(definition, JSON.parse(readFileSync(files.config, 'utf8')));

const random = randomStream(7, 'texts');
const one = <T>(list: ArrayLike<T>): T => list[random.below(list.length)]!;
const point = (from: number, count: number) => String.fromCodePoint(from + random.below(count));
/** What texts without end are made of. */
const parts: Readonly<Record<string, () => string>> = {
  base64: () => one('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'),
  letters: () => point(97, 26),
  'two letters': () => one('ab'),
  'runs of letters': () => 'a'.repeat(1 + random.below(40)),
  'runs of signs': () => one(['-', '=', ' ', '\t', '\n', '_', '<', '0']).repeat(1 + random.below(50)),
  'words of the vocabulary': () => one(tokens),
  'words without spaces': () => one(tokens).replaceAll('▁', ''),
  Chinese: () => point(0x4e00, 20_000),
  'rare characters': () => point(0x20000, 40_000),
  'any characters': () => point(1, 0x3000),
  'special tokens': () => one(['<eos>', '<pad', '<pad>', '<', 'e', 'unk>', '<unk>', '<0x41>']),
  'halves of characters': () => one(['\ud800', '\udc00', 'a', 'é', '😀', '👨‍👩‍👧']),
};
const textOf = (part: () => string, length: number) => {
  let text = '';
  while (text.length < length) text += part();
  return text;
};

describe('a text of any length', () => {
  it.each(Object.keys(parts))('has the ids that it has when it is encoded whole: %s', (kind) => {
    for (let i = 0; i < 12; i++) {
      const text = textOf(parts[kind]!, 100 + random.below(700));
      const expected = whole.encode(lowerCase(text), { add_special_tokens: false }).ids;
      expect({ text, ids: loadTokenizer().ids(text) }).toEqual({ text, ids: expected });
      for (const limit of [1, 63, 64])
        expect({ text, ids: loadTokenizer().ids(text, limit) }).toEqual({ text, ids: expected.slice(0, limit) });
    }
  });

  it.each([...Object.keys(parts), 'a', ' ', '<', '龘', 'Σ', '\t'])(
    'costs less than 50 ms of one core when it has a megabyte: %j',
    (kind) => {
      const part = parts[kind] ?? (() => kind.repeat(1024));
      const text = textOf(part, 1024 * 1024);
      const times = [1, 2, 3].map(() => {
        const before = process.cpuUsage();
        const ids = loadTokenizer().ids(text, 64);
        const { user, system } = process.cpuUsage(before);
        expect(ids).toHaveLength(64);
        return (user + system) / 1000;
      });
      // The least: the machine may do other things too.
      expect(Math.min(...times)).toBeLessThan(50);
    },
  );

  it('is cut where no token can reach, since the longest has 31 characters', () => {
    expect(tokens.reduce((most, { length }) => Math.max(most, length), 0)).toBe(longestToken);
  });
});
