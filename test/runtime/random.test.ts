import { expect, test } from 'vitest';
import { bijection, permutation, randomStream } from '../../src/runtime/random.ts';

const draw = (count: number, ...stream: Parameters<typeof randomStream>) => {
  const random = randomStream(...stream);
  return Array.from({ length: count }, () => random.next());
};

test('draws are what they have always been: a change of these numbers changes every run', () => {
  const integers = draw(4, 0, 'order', 0).map((value) => value * 2 ** 32);
  expect(integers).toEqual([3252676965, 1618507235, 1639336988, 2647476172]);
  expect(draw(2, 7, 'crop/pretrain', 12, 5_000_000_000).map((value) => value * 2 ** 32)).toEqual([
    2447728837, 2899987939,
  ]);
  expect([...permutation(10, randomStream(3, 'order', 1))]).toEqual([1, 8, 7, 4, 6, 9, 3, 0, 2, 5]);
});

test('seed, purpose and each counter, also beyond 32 bits, give streams of their own', () => {
  const firsts = [
    draw(1, 0, 'a', 0),
    draw(1, 1, 'a', 0),
    draw(1, 0, 'b', 0),
    draw(1, 0, 'a', 1),
    draw(1, 0, 'a', 2 ** 32),
    draw(1, 0, 'a', 0, 0),
    draw(1, 0, 'a', 0, 1),
    draw(1, 0, 'a', 1, 0),
  ].map(([first]) => first);
  expect(new Set(firsts).size).toBe(firsts.length);
});

test('first draws of neighbouring counters are uniform and uncorrelated', () => {
  const count = 100_000;
  const firsts = Array.from({ length: count }, (_, k) => randomStream(0, 'crop/pretrain', k).next());
  const bins = new Array<number>(100).fill(0);
  for (const value of firsts) bins[Math.floor(value * 100)]!++;
  const chiSquare = bins.reduce((sum, found) => sum + (found - count / 100) ** 2 / (count / 100), 0);
  // 99 degrees of freedom: 0.1 % lie above 148, 0.1 % below 62.
  expect(chiSquare).toBeLessThan(148);
  expect(chiSquare).toBeGreaterThan(62);
  const neighbours = firsts.slice(1).reduce((sum, value, k) => sum + (value - 0.5) * (firsts[k]! - 0.5), 0);
  // A product of two uniforms has variance 1/144: four standard deviations of the mean.
  expect(Math.abs(neighbours / count)).toBeLessThan(4 / 12 / Math.sqrt(count));
});

test('below() reaches every value alike and normal() has mean 0 and variance 1', () => {
  const random = randomStream(0, 'test');
  const counts = new Array<number>(7).fill(0);
  for (let i = 0; i < 70_000; i++) counts[random.below(7)]!++;
  for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(4 * Math.sqrt(10_000));
  const normals = Array.from({ length: 50_000 }, () => random.normal());
  const mean = normals.reduce((sum, value) => sum + value, 0) / normals.length;
  const variance = normals.reduce((sum, value) => sum + value * value, 0) / normals.length;
  expect(Math.abs(mean)).toBeLessThan(4 / Math.sqrt(50_000));
  expect(Math.abs(variance - 1)).toBeLessThan(4 * Math.sqrt(2 / 50_000));
});

test('every order of four things comes up alike', () => {
  const counts = new Map<string, number>();
  for (let k = 0; k < 24_000; k++) {
    const order = permutation(4, randomStream(0, 'order', k)).join('');
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  expect(counts.size).toBe(24);
  for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(4.5 * Math.sqrt(1000));
});

test('a bijection is a permutation that is asked for one place at a time, and uniform', () => {
  for (const n of [1, 2, 3, 64, 65, 257, 1000, 4097]) {
    const order = bijection(n, randomStream(1, 'b', n));
    expect(new Set(Array.from({ length: n }, (_, i) => order(i))).size, `${n}`).toBe(n);
    expect(Math.max(...Array.from({ length: n }, (_, i) => order(i)))).toBe(n - 1);
  }
  // Where place 0 and place 99 of 100 go in 20,000 orders: a fifth each, 4 degrees of freedom, 13.28 one time in a hundred.
  for (const place of [0, 99]) {
    const fifths = [0, 0, 0, 0, 0];
    for (let i = 0; i < 20_000; i++) fifths[Math.floor(bijection(100, randomStream(2, 'b', i))(place) / 20)]!++;
    expect(fifths.reduce((sum, count) => sum + (count - 4000) ** 2 / 4000, 0)).toBeLessThan(13.28);
  }
  const last = bijection(2 ** 31, randomStream(0, 'b'));
  expect(new Set([0, 1, 2 ** 31 - 1].map(last)).size).toBe(3);
});
