import { expect, it } from 'vitest';
import { trainedOnBy } from '../../activities/evaluation-trained-on.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import type { ImageSpec } from '../../src/evaluate/features/spec.ts';
import { tarOf } from '../benchmarks/data-set.ts';
import { MemoryStore } from '../data/memory-store.ts';

it('finds the data of a run by its documents, keeps what it found, and knows nothing of an import', async () => {
  const store = new MemoryStore();
  await store.put('data/a/0.tar', await tarOf({ '0.png': 'aaaa', '0.json': '{"captions": {}}' }));
  await store.put(
    'data/b/0.tar',
    await tarOf({ '0.png': 'aaaa', '0.json': '{"captions": {}}', '1.png': 'b', '1.json': '{}' }),
  );
  const [train, test] = [await indexData(store, 'data/a'), await indexData(store, 'data/b')];
  const spec = {
    data: { fingerprint: test.fingerprint, read: null },
    sample: { of: test.examples, examples: test.examples, seed: 0 },
  } as ImageSpec;
  const ask = (run: string) => trainedOnBy(store, run, { spec }, test.document);
  expect(await ask('imported')).toBe(null);
  await store.put('runs/pets/data/train-index-0123456789abcdef.json', JSON.stringify(train.document));
  const found = { pictures: 1, compared: 2, of: 2 };
  expect(await ask('pets')).toEqual(found);
  await store.delete('data/a/0.tar');
  expect(await ask('pets')).toEqual(found);
});
