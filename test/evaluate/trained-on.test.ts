import { expect, it } from 'vitest';
import { indexData } from '../../src/data/index/index-data.ts';
import { loudly } from '../../src/evaluate/evaluators/loudly.ts';
import { trainedOn } from '../../src/evaluate/trained-on.ts';
import { tarOf } from '../benchmarks/data-set.ts';
import { MemoryStore } from '../data/memory-store.ts';

const json = '{"captions": {}}';
/** A shard of pictures that are these texts: whether they can be decoded is no question here. */
const shard = (...pictures: string[]) =>
  tarOf(
    Object.fromEntries(
      pictures.flatMap((one, i) => [
        [`${i}.png`, one],
        [`${i}.json`, json],
      ]),
    ),
  );

async function sets() {
  const store = new MemoryStore();
  await store.put('data/train/0.tar', await shard('aaaa', 'bbbbb', 'cccccc', 'dddd'));
  await store.put('data/train/1.tar', await shard('eeeeeee', 'ff'));
  await store.put('data/more/0.tar', await shard('gggggggg'));
  // A shard of train, and one with pictures of it and others of the same and of other sizes.
  await store.put('data/test/0.tar', await shard('cccccc', 'xxxx', 'aaaa', 'yyy', 'aaaa', 'gggggggg'));
  const runs = [await indexData(store, 'data/train'), await indexData(store, 'data/more')];
  const index = await indexData(store, ['data/test', 'data/train']);
  const of = index.examples;
  return { store, runs, test: { index, sample: { of, examples: of, seed: 0 } } };
}

it('counts pictures of a shard of the run, and those of other shards that are byte for byte the same', async () => {
  const { store, runs, test } = await sets();
  // The six of the run's own shards; c, a twice, and g.
  expect(await trainedOn(store, runs, test)).toEqual({ pictures: 10, compared: 12, of: 12 });
  const alone = await indexData(store, 'data/test');
  const sample = { of: 6, examples: 6, seed: 0 };
  expect(await trainedOn(store, runs.slice(0, 1), { index: alone, sample })).toEqual({
    pictures: 3,
    compared: 6,
    of: 6,
  });
  const other = { index: await indexData(store, 'data/more'), sample: { of: 1, examples: 1, seed: 0 } };
  expect(await trainedOn(store, runs.slice(0, 1), other)).toEqual({ pictures: 0, compared: 1, of: 1 });
});

it('reads no more than its limits, and no data that have gone, and says then how few were compared', async () => {
  const { store, runs, test } = await sets();
  const few = { pictures: 6, compared: 6, of: 12 };
  expect(await trainedOn(store, runs, test, { examples: 6, bytes: 1e9 })).toEqual(few);
  expect(await trainedOn(store, runs, test, { examples: 7, bytes: 20 })).toEqual(few);
  await store.delete('data/train/0.tar');
  expect(await trainedOn(store, runs, test)).toEqual(few);
});

it('is told before all else that is to be known of a figure', () => {
  const warning = (said: string | number) => loudly({ 'model.trained_on': said, 'data.duplicates': 0 });
  expect(warning(3)).toEqual([
    'WARNING: the model was trained on 3 of the pictures that are evaluated on, byte for byte',
  ]);
  expect(warning('6, only 6 of 12 compared')).toEqual([expect.stringContaining('trained on 6 of the pictures')]);
  expect(warning(0)).toEqual([]);
  expect(warning('not known')).toEqual([]);
});
