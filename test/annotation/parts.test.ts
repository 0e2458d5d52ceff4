import { describe, expect, it } from 'vitest';
import type { Annotated } from '../../src/annotation/annotate-examples.ts';
import { noCounts } from '../../src/annotation/counts.ts';
import { Parts } from '../../src/annotation/parts.ts';
import { MemoryStore } from '../data/memory-store.ts';

const example = (i: number): Annotated =>
  i % 5 === 0
    ? { corrupt: { shard: 's', name: `${i}`, reason: 'broken' } }
    : { name: `${i}`, regions: [], counts: { ...noCounts.boxes, proposed: i }, queries: { ngrams: 1, categories: 0 } };
const all = Array.from({ length: 40 }, (_, i) => example(i));

/** What a shard comes to when an attempt dies after `dies` more examples; `asked` is told what was looked at. */
async function attempt(store: MemoryStore, dies: number, asked: number[] = []): Promise<Annotated[]> {
  const found: Annotated[] = [];
  async function* rest(from: number) {
    for (let i = from; i < all.length; i++) {
      if (i - from === dies) throw new Error('died');
      asked.push(i);
      yield all[i]!;
    }
  }
  for await (const one of new Parts(store, 'out/unfinished/a/', 0).through(rest)) found.push(one);
  return found;
}

describe('a shard that is annotated by attempts that die', () => {
  it('comes to the same, and no example is looked at twice', async () => {
    const [store, asked] = [new MemoryStore(), [] as number[]];
    for (let tries = 0; tries < 5; tries++) await expect(attempt(store, 7, asked)).rejects.toThrow('died');
    expect(await attempt(store, 100, asked)).toEqual(all);
    expect(asked).toEqual(all.map((_, i) => i));
    await new Parts(store, 'out/unfinished/a/', 0).clear();
    expect([...store.objects.keys()]).toEqual([]);
  });

  it('goes on from before a part that is gone, cut short or no JSON, and over parts that overlap', async () => {
    const store = new MemoryStore();
    await expect(attempt(store, 20)).rejects.toThrow('died');
    const keys = [...store.objects.keys()];
    expect(keys).toHaveLength(20);
    store.objects.delete(keys[12]!);
    expect(await attempt(store, 100)).toEqual(all);
    await store.put(keys[7]!, 'no JSON\n');
    expect(await attempt(store, 100)).toEqual(all);
    await store.put(keys[3]!, '');
    expect(await attempt(store, 100)).toEqual(all);
    const asked: number[] = [];
    const two = all.slice(2, 6).map((one) => `${JSON.stringify(one)}\n`);
    await store.put('out/unfinished/a/000000002-000000006.jsonl', two.join(''));
    await store.put('out/unfinished/a/other.jsonl', 'x');
    expect(await attempt(store, 100, asked)).toEqual(all);
    expect(asked[0]).toBe(7);
  });
});
