import { expect, test } from 'vitest';
import { ExampleOrder, exampleAt, type OrderedData } from '../../../src/data/batches/order.ts';

function indexOf(counts: readonly number[], bytes = 1000): OrderedData {
  const shards = counts.map((examples) => ({ bytes, examples }));
  return { examples: counts.reduce((sum, count) => sum + count, 0), shards };
}

const read = (index: OrderedData, from: number, count: number, seed = 0, phase = 'pretrain') =>
  Array.from({ length: count }, (_, i) => {
    const { shard, example } = exampleAt(index, seed, phase, from + i);
    return `${shard}/${example}`;
  });

test('every epoch is another permutation of all examples', () => {
  const index = indexOf([5, 0, 17, 1, 40]);
  const epochs = Array.from({ length: 5 }, (_, epoch) => read(index, epoch * 63, 63));
  for (const epoch of epochs) expect(new Set(epoch).size).toBe(63);
  expect(new Set(epochs.map((epoch) => epoch.join())).size).toBe(5);
});

test('seed and phase have orders of their own', () => {
  const index = indexOf([50, 50]);
  const orders = [read(index, 0, 100), read(index, 0, 100, 1), read(index, 0, 100, 0, 'naflex')];
  expect(new Set(orders.map((order) => order.join())).size).toBe(3);
});

test('an order read backwards, from anywhere, or by a fresh process is the same', () => {
  const index = indexOf([30, 20, 10]);
  const forwards = read(index, 0, 300);
  const fresh = indexOf([30, 20, 10]);
  const backwards = Array.from({ length: 300 }, (_, i) => read(fresh, 299 - i, 1)[0]!).reverse();
  expect(backwards).toEqual(forwards);
});

test('the order is what it has always been', () => {
  expect(read(indexOf([4, 4]), 0, 10)).toEqual(['0/3', '1/2', '1/3', '0/2', '0/0', '1/0', '1/1', '0/1', '1/2', '1/0']);
});

test('of large shards two are read at once, and the next two are known', () => {
  const index = indexOf(new Array<number>(7).fill(10), 400 * 1024 ** 2);
  const order = new ExampleOrder(index, 0, 'pretrain');
  const shardsOf = (block: number, size = 20) =>
    new Set(Array.from({ length: size }, (_, i) => order.at(block * 20 + i).shard));
  const blocks = [shardsOf(0), shardsOf(1), shardsOf(2), shardsOf(3, 10)];
  expect(blocks.map(({ size }) => size)).toEqual([2, 2, 2, 1]);
  expect(new Set(blocks.flatMap((block) => [...block])).size).toBe(7);
  expect(new Set(order.shardsNear(25))).toEqual(new Set([...blocks[1]!, ...blocks[2]!]));
  // At the end of an epoch the next one comes near.
  const next = new Set(Array.from({ length: 20 }, (_, i) => order.at(70 + i).shard));
  expect(new Set(order.shardsNear(69))).toEqual(new Set([...blocks[3]!, ...next]));
});

test('a place in a data set of a million examples is found in microseconds', () => {
  const index = indexOf(new Array<number>(200).fill(5000), 100 * 1024 ** 2);
  const order = new ExampleOrder(index, 0, 'pretrain');
  order.at(0);
  const start = performance.now();
  for (let k = 0; k < 20_000; k++) order.at(k);
  expect(performance.now() - start).toBeLessThan(400);
});
