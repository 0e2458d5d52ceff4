import { expect, it } from 'vitest';
import { DecodedCache } from '../../../src/data/batches/decoded-cache.ts';

const example = (side: number, metaBytes: number) => ({
  pixels: { width: side, height: side, data: new Uint8Array(side * side * 3) },
  meta: { key: 'a', captions: {}, concept: 'a' },
  metaBytes,
});

it('keeps the examples that were used last, as many as fit with their pixels and their captions', () => {
  const cache = new DecodedCache(100_000);
  for (const key of ['a', 'b', 'c']) cache.set(key, example(100, 100));
  const kept = () => ['a', 'b', 'c', 'd', 'e'].filter((key) => cache.get(key));
  expect(kept()).toEqual(['b', 'c']);
  // Small pictures with long captions are no small examples.
  cache.set('d', example(1, 40_000));
  expect(kept()).toEqual(['d']);
  cache.set('e', example(1, 60_000));
  expect(kept()).toEqual(['d']);
});
