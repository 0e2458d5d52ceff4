import { expect, it } from 'vitest';
import { sweepIndexes } from '../../../src/data/example/sweep-indexes.ts';
import { collectTokenIds } from '../../../src/data/example/token-ids.ts';
import { indexData } from '../../../src/data/index/index-data.ts';
import { mixedIndex } from '../../../src/data/index/mixed-index.ts';
import { RunnerError } from '../../../src/runtime/errors.ts';
import { MemoryStore } from '../memory-store.ts';
import { tarOf } from '../tar-file.ts';

const shardOf = (i: number) =>
  tarOf([
    { name: `${i}.png`, body: 'image' },
    { name: `${i}.json`, body: JSON.stringify({ captions: { en: [`number ${i}`] } }) },
  ]);

async function indexed() {
  const store = new MemoryStore();
  for (const i of [0, 1, 2, 3]) await store.put(`d/${i}.tar`, shardOf(i));
  const index = await indexData(store, 'd');
  await collectTokenIds(store, index, ['en'], { keep: store });
  return { store, index };
}
const kept = (store: MemoryStore) => [...store.objects.keys()].filter((key) => key.startsWith('indexes/')).length;

it('indexes and token sets go whose shard is gone or was replaced, and no others, and are made again where it comes back', async () => {
  const { store, index } = await indexed();
  expect(kept(store)).toBe(8);
  expect(await sweepIndexes(store, { graceMs: 0 })).toEqual({ looked: 8, deleted: [], named: 0 });
  const gone = store.objects.get('d/1.tar')!;
  await store.delete('d/1.tar');
  await store.put('d/2.tar', shardOf(7));
  // What is none of ours, or of another release, is left alone.
  await store.put('indexes/theirs.index', 'x');
  await store.put('indexes/newer.tokens', 'siglip2t\x09\0\0\0........');
  const swept = await sweepIndexes(store, { graceMs: 0 });
  expect([swept.looked, swept.deleted.length, swept.named]).toEqual([10, 4, 0]);
  expect(kept(store)).toBe(6);
  await store.put('d/1.tar', gone);
  expect((await index.entriesOf(1)).length).toBe(1);
  expect((await indexData(store, 'd')).examples).toBe(4);
});

it('what a run names stays, and so does what is younger than a day, and nothing goes where a run can not be read', async () => {
  const { store, index } = await indexed();
  const other = mixedIndex([
    { name: 'a', index },
    { name: 'b', index },
  ]);
  await store.delete('d/1.tar');
  await store.delete('d/2.tar');
  await store.put('runs/r/data/train-index-0123abcd.json', JSON.stringify({ ...other.document }));
  expect(await sweepIndexes(store, { graceMs: 0 })).toEqual({ looked: 8, deleted: [], named: 4 });
  store.beforeGet = (key) => {
    if (key.startsWith('runs/')) throw new RunnerError('StorageUnavailable', 'away');
  };
  await expect(sweepIndexes(store, { graceMs: 0 })).rejects.toThrow('away');
  store.beforeGet = () => {};
  await store.delete('runs/r/data/train-index-0123abcd.json');
  const head = store.head.bind(store);
  // Written a minute ago.
  store.head = async (key) => {
    const found = await head(key);
    return found && { ...found, modified: new Date(Date.now() - 60_000) };
  };
  expect(await sweepIndexes(store, { graceMs: 24 * 3_600_000 })).toEqual({ looked: 0, deleted: [], named: 0 });
  expect(kept(store)).toBe(8);
  expect((await sweepIndexes(store, { graceMs: 0 })).deleted).toHaveLength(4);
});
