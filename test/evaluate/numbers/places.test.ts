import { describe, expect, it } from 'vitest';
import { dot, type Matrix, rowCount, unitRows } from '../../../src/evaluate/numbers/matrix.ts';
import { nearestBothWays, productError } from '../../../src/evaluate/numbers/nearest.ts';
import { neededOf, placesOfRight, shareAmong } from '../../../src/evaluate/numbers/places.ts';
import { randomStream } from '../../../src/runtime/random.ts';

const pause = async () => {};
const width = 24;

function random(seed: number, n: number): Matrix {
  const stream = randomStream(seed, 'rows');
  return unitRows({ width, rows: Float32Array.from({ length: n * width }, () => stream.normal()) });
}

/** What placesOfRight promises, word by word. */
function slowPlaces(a: Matrix, b: Matrix, rightOf: (i: number) => readonly number[], most: number): number[] {
  return Array.from({ length: rowCount(a) }, (_, i) => {
    const right = rightOf(i);
    if (right.length === 0) return -1;
    const best = Math.max(...right.map((j) => dot(a, i, b, j)));
    const before = Array.from({ length: rowCount(b) }, (_, j) => j).filter(
      (j) => !right.includes(j) && dot(a, i, b, j) >= best,
    );
    return Math.min(most, before.length);
  });
}

describe('places of right candidates', () => {
  it('are those of a plain count in both directions, over blocks, with several right ones and with none', async () => {
    const a = random(1, 83);
    const b = random(2, 131);
    // Some texts twice, and some that are a picture itself.
    b.rows.set(b.rows.subarray(0, 20 * width), 60 * width);
    b.rows.set(a.rows.subarray(0, 30 * width), 90 * width);
    const texts = (i: number) => (i % 9 === 4 ? [] : [i, i + 40, (i * 7) % 131]);
    const picture = (j: number) => [j % 83];
    const most = 10;
    const ks = { kOfA: neededOf(most, 3), kOfB: neededOf(most, 1) };
    const { ofA, ofB } = await nearestBothWays(a, b, ks, pause, 32);
    const error = productError(width, 'cpu');
    const forward = await placesOfRight(a, b, texts, { nearest: ofA, error, most }, pause);
    expect([...forward]).toEqual(slowPlaces(a, b, texts, most));
    const backward = await placesOfRight(b, a, picture, { nearest: ofB, error, most }, pause);
    expect([...backward]).toEqual(slowPlaces(b, a, picture, most));
    // The comparison would prove little if all were behind.
    expect(shareAmong(forward, 10)).toBeGreaterThan(0.2);
    expect(shareAmong(forward, 10)).toBeLessThan(0.9);
    const hits = [...forward].filter((place) => place >= 0);
    expect(shareAmong(forward, 5)).toBe(hits.filter((place) => place < 5).length / hits.length);
  });

  it('do not hang on what the device rounds away: a coarser device finds the same', async () => {
    const [a, b] = [random(3, 40), random(4, 400)];
    const own = (i: number) => [i];
    const { ofA } = await nearestBothWays(a, b, { kOfA: neededOf(5, 1), kOfB: 0 }, pause);
    const noise = randomStream(5, 'noise');
    const coarse = { ...ofA, scores: ofA.scores.map((score) => score + 1e-3 * (2 * noise.next() - 1)) };
    const how = { error: 2 ** -9, most: 5 };
    const places = await placesOfRight(a, b, own, { ...how, nearest: coarse }, pause);
    expect([...places]).toEqual(slowPlaces(a, b, own, 5));
  });

  it('count every tie against the model, where all rows are one point and lists are full of right ones too', async () => {
    const point: Matrix = unitRows({ width, rows: new Float32Array(200 * width).fill(1) });
    const first = (): number[] => Array.from({ length: 60 }, (_, i) => i);
    const { ofA } = await nearestBothWays(point, point, { kOfA: neededOf(10, 60), kOfB: 0 }, pause);
    const how = { nearest: ofA, error: productError(width, 'cpu'), most: 10 };
    expect(new Set(await placesOfRight(point, point, first, how, pause))).toEqual(new Set([10]));
    const all = Array.from({ length: 200 }, (_, i) => i);
    expect(new Set(await placesOfRight(point, point, () => all, how, pause))).toEqual(new Set([0]));
  });
});

describe('the nearest rows', () => {
  it('come in order, with their numbers over the blocks, and no more than there are', async () => {
    const [a, b] = [random(6, 5), random(7, 9)];
    const { ofA, ofB } = await nearestBothWays(a, b, { kOfA: 20, kOfB: 2 }, pause, 4);
    expect([ofA.k, ofB.k]).toEqual([9, 2]);
    for (let i = 0; i < 5; i++) {
      const expected = Array.from({ length: 9 }, (_, j) => j).sort((x, y) => dot(a, i, b, y) - dot(a, i, b, x));
      expect([...ofA.places.subarray(9 * i, 9 * i + 9)]).toEqual(expected);
    }
    const nearest = [...ofB.scores.subarray(0, 2)];
    expect(nearest[0]).toBeGreaterThanOrEqual(nearest[1]!);
  });
});
