import { expect, it } from 'vitest';
import type { Census } from '../../src/data/example/census.ts';
import type { DataIndex } from '../../src/data/index/types.ts';
import { brokenProblems } from '../../src/plan/broken.ts';

type Data = Pick<DataIndex, 'prefix' | 'shards' | 'corrupt'>;

/** Shards of so many examples, and what planning found of each to be broken. */
function index(shards: Record<string, readonly [examples: number, corrupt: number]>): Data {
  const all = Object.entries(shards);
  return {
    prefix: 'd/a, d/b',
    shards: all.map(([key, [examples, corrupt]]) => ({ key, bytes: 1, etag: 'e', examples, corrupt })),
    corrupt: all.flatMap(([shard, [, count]]) =>
      Array.from({ length: count }, (_, i) => ({ shard, name: `c${i}`, reason: 'no txt member' })),
    ),
  };
}

const census = (changes: Partial<Census> = {}): Census => ({
  ...{ looked: 1000, whole: true, languages: new Map(), unusable: new Map(), broken: new Map() },
  ...changes,
});
const said = (of: Data, counted: Census, maxBroken?: number) =>
  brokenProblems('data.train', of, counted, { maxBroken }).map(
    ({ message }) => message.split(', and data.maxBroken')[0],
  );

it('a shard may have 5 % that is broken and no more, what the index lacks and what texts say together', () => {
  const data = index({ 'd/a/0.tar': [95, 5], 'd/b/0.tar': [98, 2] });
  expect(said(data, census())).toEqual([]);
  const unusable = new Map([['empty txt member', { count: 4, first: 'd/b/0.tar, 7' }]]);
  expect(said(data, census({ unusable, broken: new Map([['d/b/0.tar', 4]]) }))).toEqual([
    "data.train: 6 of the 100 examples of d/b/0.tar can't be used (no txt member)",
  ]);
  expect(said(data, census(), 0.01)).toEqual([
    "data.train: 5 of the 100 examples of d/a/0.tar can't be used (no txt member), and too many of 1 other shard",
  ]);
  const [only] = brokenProblems('data.train', index({ 'd/a/0.tar': [93, 7] }), census(), { maxBroken: 0.067 });
  expect(only).toMatchObject({ code: 'DataContract', mild: true });
  expect(only!.message).toMatch(
    /, and data.maxBroken allows 6.7 %; npm run siglip2 -- data look d\/a --all names them/,
  );
});

it('of examples that were not all looked at texts are judged together, and what the index lacks by the shard', () => {
  const data = index({ 'd/a/0.tar': [100, 0], 'd/b/0.tar': [100, 0] });
  const few = { looked: 100, whole: false };
  expect(said(data, census({ ...few, broken: new Map([['d/a/0.tar', 5]]) }))).toEqual([]);
  const many = new Map(Object.entries({ 'd/a/0.tar': 3, 'd/b/0.tar': 3 }));
  expect(said(data, census({ ...few, broken: many }))).toEqual([
    "data.train: 6 of 100 examples that were looked at below d/a, d/b/ can't be used",
  ]);
  expect(said(index({ 'd/a/0.tar': [0, 1] }), census(few))).toEqual([
    "data.train: 1 of the 1 examples of d/a/0.tar can't be used (no txt member)",
  ]);
});
