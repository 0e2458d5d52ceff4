import { expect, test } from 'vitest';
import { BlockOrder } from '../../../src/data/batches/block-order.ts';
import { ExampleOrder } from '../../../src/data/batches/order.ts';
import type { OrderShard } from '../../../src/data/batches/ranges.ts';

const mebi = 2 ** 20;
const shards = (count: number, examples: number, bytes: number): OrderShard[] =>
  Array.from({ length: count }, () => ({ examples, bytes }));
const read = (order: BlockOrder, from: number, count: number) =>
  Array.from({ length: count }, (_, i) => {
    const { shard, example } = order.at(from + i);
    return `${shard}/${example}`;
  });

// 40 shards of 500 MB, 1,000,000 examples of 20 KB.
const large = shards(40, 25_000, 500e6);

// Deciles of the chi-square distribution of 9 degrees of freedom, as tables have them (Abramowitz and Stegun, 26.8), and
// what it comes to one time in a hundred.
const deciles = [4.1682, 5.3801, 6.3933, 7.357, 8.3428, 9.4136, 10.6564, 12.2421, 14.6837];
const onceInHundred = 21.666;

/** Pearson's statistic of counts against what they should be. */
const chiSquare = (counts: readonly number[], expected: readonly number[]) =>
  counts.reduce((sum, count, i) => sum + (count - expected[i]!) ** 2 / expected[i]!, 0);

/**
 * How far the p-values of many batches are from uniform: Pearson's statistic of each batch over ten sources falls into a
 * tenth of its distribution, and the ten counts are compared with a tenth of the batches each. 9 degrees of freedom again.
 */
function unevenness(batches: readonly number[][]): number {
  const counts = new Array<number>(10).fill(0);
  for (const batch of batches) {
    const statistic = chiSquare(batch, tenth);
    counts[deciles.filter((decile) => statistic > decile).length]!++;
  }
  return chiSquare(counts, new Array<number>(10).fill(batches.length / 10));
}

/** Batches of 1,024 that follow one another: in each, how many examples come from each of ten groups of four shards. */
function batchesOf(shardAt: (k: number) => number, batches: number): number[][] {
  return Array.from({ length: batches }, (_, batch) => {
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 1024; i++) counts[Math.floor(shardAt(batch * 1024 + i) / 4)]!++;
    return counts;
  });
}
const tenth = new Array<number>(10).fill(102.4);
/** Pearson's statistic of one source of a tenth against the rest, summed up: of 900 batches 900, give or take 42. */
const ofOne = (batches: readonly number[][]) =>
  batches.reduce((sum, [own]) => sum + chiSquare([own!, 1024 - own!], [102.4, 921.6]), 0);

test('every epoch is another permutation of all examples, and every place is found from anywhere by a fresh process', () => {
  const uneven: OrderShard[] = [5, 0, 1700, 1, 4000, 333].map((examples) => ({ examples, bytes: examples * 30_000 }));
  const make = (seed = 3, name = 'pretrain') => new BlockOrder(uneven, seed, name, { examples: 1000 });
  const order = make();
  expect([order.examples, order.blocks]).toEqual([6039, 6]);
  const epochs = Array.from({ length: 4 }, (_, epoch) => read(order, epoch * 6039, 6039));
  for (const epoch of epochs) expect(new Set(epoch).size).toBe(6039);
  expect(new Set(epochs.map((epoch) => epoch.join())).size).toBe(4);
  const all = epochs.flat();
  for (const k of [24_155, 12_078, 12_077, 6039, 6038, 1]) expect(read(make(), k, 1)).toEqual([all[k]]);
  for (const other of [make(4), make(3, 'distill')]) expect(read(other, 0, 100)).not.toEqual(all.slice(0, 100));
});

test('the order is what it has always been', () => {
  const order = new BlockOrder(shards(3, 400, 8 * mebi), 0, 'pretrain', { examples: 300 });
  expect(read(order, 0, 8)).toMatchInlineSnapshot(`
    [
      "0/144",
      "2/358",
      "1/254",
      "0/45",
      "1/253",
      "0/49",
      "0/146",
      "1/123",
    ]
  `);
  expect(read(order, 5000, 4)).toMatchInlineSnapshot(`
    [
      "0/106",
      "0/168",
      "2/302",
      "1/48",
    ]
  `);
  const { shard, example } = order.replacement(0, 1);
  expect([shard, example]).toMatchInlineSnapshot(`
    [
      1,
      322,
    ]
  `);
});

test('of shards of 500 MB every batch looks as if drawn from all of them, where blocks of whole shards show two', () => {
  const order = new BlockOrder(large, 0, 'pretrain', { examples: 50_000 });
  expect(order.blocks).toBe(20);
  const batches = batchesOf((k) => order.at(k).shard, 900);
  expect(unevenness(batches)).toBeLessThan(onceInHundred);
  expect(Math.abs(ofOne(batches) - 900)).toBeLessThan(2.576 * Math.sqrt(2 * 900));
  expect(Math.min(...batches.map(([own]) => own!))).toBeGreaterThan(65);

  const old = new ExampleOrder({ examples: 1_000_000, shards: large }, 0, 'pretrain');
  const before = batchesOf((k) => old.at(k).shard, 900);
  expect(unevenness(before)).toBeGreaterThan(300 * onceInHundred);
  expect(ofOne(before)).toBeGreaterThan(300 * 900);
  expect(before.filter(([own]) => own === 0).length).toBeGreaterThan(700);
});

test('a block has at least 50,000 examples in some 256 ranges, or 3 GiB of large pictures', () => {
  const small = new BlockOrder(large, 0, 'p', { examples: 50_000 });
  const rangesOf = (order: BlockOrder) => new Set(Array.from({ length: 2000 }, (_, i) => order.at(i).range.count));
  expect([...rangesOf(small)].sort()).toEqual([195, 196]);
  expect(small.blockOf(49_000)).toBe(0);
  expect(small.blockOf(51_000)).toBe(1);
  expect(small.blockOf(1_000_000)).toBe(20);
  // A block and the one after it, and of each as many ranges.
  const { now, next } = small.near(0);
  expect([now.length, next.length]).toEqual([256, 256]);
  const pictures = new BlockOrder(shards(40, 500, 500e6), 0, 'p', { examples: 50_000 });
  expect(pictures.blocks).toBe(Math.ceil((40 * 500e6) / (3 * 1024 * mebi)));
});

test('what takes the place of an example lies in its block, is a matter of the example alone, and is spread evenly', () => {
  const order = new BlockOrder(large, 7, 'p', { examples: 50_000 });
  const ranges = new Set(order.near(60_000).now);
  const counts = new Array<number>(10).fill(0);
  for (let attempt = 1; attempt <= 5000; attempt++) {
    const { shard, example, range } = order.replacement(60_000, attempt);
    expect(ranges.has(range)).toBe(true);
    expect(example >= range.first && example < range.first + range.count).toBe(true);
    counts[Math.floor(shard / 4)]!++;
  }
  expect(chiSquare(counts, new Array<number>(10).fill(500))).toBeLessThan(onceInHundred);
  const fresh = new BlockOrder(large, 7, 'p', { examples: 50_000 });
  expect(fresh.replacement(60_000, 17)).toEqual(order.replacement(60_000, 17));
});

test('of 100 million examples in 10,000 shards an example is found in under 50 us, and an epoch is begun in a second or so', () => {
  const order = new BlockOrder(shards(10_000, 10_000, 200e6), 0, 'p', { examples: 50_000 });
  const began = performance.now();
  order.at(99_999_999);
  expect(performance.now() - began).toBeLessThan(4000);
  const before = performance.now();
  for (let i = 0; i < 100_000; i++) order.at(40_000_000 + i);
  expect((performance.now() - before) / 100_000).toBeLessThan(0.05);
});
