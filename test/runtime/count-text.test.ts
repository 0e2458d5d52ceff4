import { expect, test } from 'vitest';
import { counted, outOf } from '../../src/runtime/count-text.ts';

test('a count of one has its noun in the singular, and verbs go along', () => {
  expect([0, 1, 2, 12_345].map((count) => counted(count, 'shard'))).toEqual([
    ...['0 shards', '1 shard', '2 shards', '12,345 shards'],
  ]);
  expect([1, 2].map((count) => counted(count, 'picture has', 'pictures have'))).toEqual([
    ...['1 picture has', '2 pictures have'],
  ]);
});

test('what there is of a count is written as the count is', () => {
  expect(outOf(1536, 12_345, 'shard')).toBe('1,536 of 12,345 shards');
  expect(outOf(1, 1, 'example remains', 'examples remain')).toBe('1 of 1 example remains');
});
