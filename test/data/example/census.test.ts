import { describe, expect, it } from 'vitest';
import { countCaptions } from '../../../src/data/example/census.ts';
import { indexData } from '../../../src/data/index/index-data.ts';
import { MemoryStore } from '../memory-store.ts';
import { tarOf } from '../tar-file.ts';

/** A shard whose examples have a picture of so many bytes each; one in eight has German, one in 25 no captions. */
async function stored(examples: number, pictureBytes: number) {
  const store = new MemoryStore();
  const members = Array.from({ length: examples }, (_, i) => [
    { name: `${i}.png`, body: Buffer.alloc(pictureBytes, 1) },
    {
      name: `${i}.json`,
      body: JSON.stringify(
        i % 25 === 3 ? { caption: 'x' } : { captions: { en: ['a'], ...(i % 8 === 5 && { de: ['b'] }) } },
      ),
    },
  ]).flat();
  const half = members.length / 2;
  await store.put('data/x/0.tar', tarOf(members.slice(0, half)));
  await store.put('data/x/1.tar', tarOf(members.slice(half)));
  const index = await indexData(store, 'data/x');
  store.gets = 0;
  return { store, index };
}

describe('what captions there are', () => {
  it('is counted over every example, the JSON members that lie together in one request', async () => {
    const { store, index } = await stored(500, 100);
    const { looked, whole, languages, unusable } = await countCaptions(store, index);
    expect([looked, whole, Object.fromEntries(languages)]).toEqual([500, true, { en: 480, de: 59 }]);
    expect([...unusable.values()]).toEqual([{ count: 20, first: 'data/x/0.tar, 3' }]);
    // Of each shard its index, and its texts.
    expect(store.gets).toBe(4);
  });

  it('tells what is wrong once a kind, though where it is differs from example to example', async () => {
    const store = new MemoryStore();
    const members = Array.from({ length: 200 }, (_, i) => [
      { name: `${i}.png`, body: 'image' },
      { name: `${i}.json`, body: i % 2 ? `{"x": "${'y'.repeat(i)}", "captions": NaN}` : '{"caption": "x"}' },
    ]);
    await store.put('data/x/0.tar', tarOf(members.flat()));
    const { unusable } = await countCaptions(store, await indexData(store, 'data/x'));
    expect(Object.fromEntries(unusable)).toEqual({
      'the JSON member has no captions, such as {"captions": {"en": ["a dog"]}}': {
        count: 100,
        first: 'data/x/0.tar, 0',
      },
      'the JSON member has NaN, which is not JSON: behind "captions", character 24; write null': {
        count: 100,
        first: 'data/x/0.tar, 1',
      },
    });
  });

  it('of more is told by some that are evenly spread, with no more requests than those', async () => {
    const { store, index } = await stored(500, 100_000);
    const { looked, whole, languages, unusable } = await countCaptions(store, index, 70);
    expect([looked, whole]).toEqual([63, false]);
    expect(languages.get('en')! + [...unusable.values()][0]!.count).toBe(63);
    // One in eight is looked at, and each eighth would never have been one that has German.
    expect(languages.get('de')).toBeGreaterThan(1);
    expect(store.gets).toBe(2 + 63);
  });
});
