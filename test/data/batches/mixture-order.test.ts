import { expect, test } from 'vitest';
import { MixtureOrder, quotasOf } from '../../../src/data/batches/mixture-order.ts';

const weights = [70, 25, 5];
const draws = (order: MixtureOrder, from: number, count: number) =>
  Array.from({ length: count }, (_, i) => order.at(from + i));

test('100,000 draws have each source by its weight exactly, and every 250 of them to the nearest two', () => {
  const order = new MixtureOrder(weights, 0, 'p');
  const counts = [0, 0, 0];
  for (let k = 0; k < 100_000; k += 250) {
    const own = [0, 0, 0];
    for (const { source } of draws(order, k, 250)) own[source]!++;
    own.forEach((count, source) => {
      expect(Math.abs(count - [175, 62.5, 12.5][source]!)).toBeLessThanOrEqual(2);
      counts[source]! += count;
    });
  }
  expect(counts).toEqual([70_000, 25_000, 5000]);
});

test('each source counts its own draws without a gap, from anywhere', () => {
  const order = new MixtureOrder([3, 2, 1], 5, 'p');
  const seen = [0, 0, 0];
  for (const [k, { source, draw }] of draws(order, 0, 230_000).entries()) {
    if (draw !== seen[source]) throw new Error(`draw ${k} of source ${source} is number ${draw}, not ${seen[source]}`);
    seen[source]!++;
  }
  const fresh = new MixtureOrder([3, 2, 1], 5, 'p');
  for (const k of [229_999, 100_000, 99_999, 250, 1]) expect(fresh.at(k)).toEqual(order.at(k));
  expect([0, 1, 2].map((source) => fresh.before(230_000, source))).toEqual(seen);
});

test('the draws are what they have always been, and differ by seed and by phase', () => {
  const first = (seed: number, name: string) =>
    draws(new MixtureOrder(weights, seed, name), 0, 20)
      .map(({ source }) => source)
      .join('');
  expect(first(0, 'p')).toMatchInlineSnapshot(`"02010100100010110000"`);
  expect(new Set([first(0, 'p'), first(1, 'p'), first(0, 'q')]).size).toBe(3);
});

test('quotas sum up whatever the weights are, and no source is left without a draw', () => {
  expect(quotasOf([1, 1, 1], 100_000)).toEqual([33_334, 33_333, 33_333]);
  expect(quotasOf([1e-9, 1, 1e-9], 100_000)).toEqual([1, 99_998, 1]);
  expect(quotasOf([0.9, 0.1], 100_000)).toEqual([90_000, 10_000]);
  expect(quotasOf([2], 100_000)).toEqual([100_000]);
});
