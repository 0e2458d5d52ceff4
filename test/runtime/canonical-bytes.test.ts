import { expect, it } from 'vitest';
import { canonicalBytes } from '../../src/runtime/canonical-bytes.ts';
import { canonicalJson, sha256 } from '../../src/runtime/hash.ts';
import { longestGap } from '../data/gaps.ts';

it.each([
  [null],
  [3.5],
  ['é"\n'],
  [[]],
  [{}],
  [{ b: [1, [2, [3, [4, [5, [6]]]]]], a: undefined, ä: { z: [undefined, null], y: {} } }],
])('the bytes of %j are those of its canonical JSON', async (value) => {
  const text = canonicalJson(value);
  expect(await canonicalBytes(value)).toEqual({ bytes: Buffer.from(text), sha256: sha256(text) });
});

it('an index of 200,000 examples is made without a wait of more than 2 s', async () => {
  const example = (i: number) => ({ name: `part/${i}`, image: { offset: i, size: 9 }, meta: { offset: i, size: 3 } });
  const shards = Array.from({ length: 200 }, (_, shard) => ({
    key: `data/${shard}.tar`,
    examples: Array.from({ length: 1000 }, (_, i) => example(shard * 1000 + i)),
  }));
  const { value, gapMs } = await longestGap(() => canonicalBytes({ shards, corrupt: [] }));
  expect(value.sha256).toBe(sha256(canonicalJson({ shards, corrupt: [] })));
  expect(gapMs).toBeLessThan(2000);
});
