import { expect, test } from 'vitest';
import { counted } from '../../src/runtime/count-text.ts';

test('a count of one has its noun in the singular, and verbs go along', () => {
  expect([0, 1, 2, 12_345].map((count) => counted(count, 'shard'))).toEqual([
    ...['0 shards', '1 shard', '2 shards', '12,345 shards'],
  ]);
  expect([1, 2].map((count) => counted(count, 'picture has', 'pictures have'))).toEqual([
    ...['1 picture has', '2 pictures have'],
  ]);
});
