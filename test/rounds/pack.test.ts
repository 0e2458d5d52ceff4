import { describe, expect, test } from 'vitest';
import { blockBytes, type Exchange, exchanges, isCoded, levels, packedBytes } from '../../src/rounds/exchange.ts';
import { PieceMemory } from '../../src/rounds/memory.ts';
import {
  PackedBlock,
  packBfloat16,
  packBlock,
  packFloat32,
  unpackBfloat16,
  unpackFloat32,
} from '../../src/rounds/pack.ts';
import { roundingKeys, uniformAt } from '../../src/rounds/rounding.ts';

const piece = PieceMemory.take();

function packed(exchange: Exchange, values: Float64Array, seed = 1, first = 0) {
  const view = new DataView(new ArrayBuffer(blockBytes(exchange, values.length)));
  const packing = { first, keys: roundingKeys(seed, 3, 2, 'p') };
  piece.lay(values.length);
  piece.values.set(values);
  const good = isCoded(exchange)
    ? packBlock(exchange, piece, 0, values.length, packing, view, 0)
    : exchange === 'bf16'
      ? packBfloat16(values, 0, values.length, packing, view, 0)
      : packFloat32(values, 0, values.length, view, 0);
  return { view, good };
}

function roundTrip(exchange: Exchange, values: Float64Array, seed = 1, first = 0): Float64Array {
  const { view, good } = packed(exchange, values, seed, first);
  expect(good).toBe(true);
  const out = new Float64Array(values.length);
  if (isCoded(exchange)) {
    const block = new PackedBlock(exchange, view, 0, values.length);
    for (let i = 0; i < out.length; i++) out[i] = block.change(i);
  }
  if (exchange === 'bf16') unpackBfloat16(view, 0, values.length, out, 0);
  if (exchange === 'f32') unpackFloat32(view, 0, values.length, out, 0);
  return out;
}

const spread = Float64Array.from({ length: 257 }, (_, i) => Math.fround(Math.sin(i * 1.7) * 10 ** ((i % 5) - 4)));

describe('a block', () => {
  test.each([
    ['f32', 16_384],
    ['bf16', 8_192],
    ['int8', 4_100],
    ['int4', 2_052],
  ] as const)('of 4,096 numbers takes in %s %i bytes, its scale among them', (exchange, bytes) => {
    expect(packedBytes(exchange, 4096, 4096)).toBe(bytes);
    expect(packedBytes(exchange, 2 * 4096 + 1, 4096)).toBe(2 * bytes + blockBytes(exchange, 1));
  });

  test.each(['bf16', 'int8', 'int4'] as const)(
    'is off by less than one step in %s, and not at all on the mean of many seeds',
    (exchange) => {
      const largest = spread.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      // The distance of neighbours: of codes everywhere the scale; of bfloat16 2^-7 of the power of two below.
      const step = (x: number) =>
        isCoded(exchange)
          ? (largest / levels[exchange]) * (1 + 2 ** -20)
          : 2 ** (Math.floor(Math.log2(Math.abs(x))) - 7);
      const seeds = 2000;
      const sums = new Float64Array(spread.length);
      const squares = new Float64Array(spread.length);
      for (let seed = 0; seed < seeds; seed++)
        for (const [i, y] of roundTrip(exchange, spread, seed).entries()) {
          const off = spread[i] === 0 ? y : (y - spread[i]!) / step(spread[i]!);
          sums[i]! += off;
          squares[i]! += off * off;
          if (Math.abs(off) > 1) throw new Error(`${spread[i]} became ${y}`);
        }
      // Each mean is within five of its own deviations, and of five draws where few differ; a rounding to the nearest would be off by up to half a step.
      for (const [i, sum] of sums.entries())
        expect(Math.abs(sum / seeds), `number ${i}`).toBeLessThan(
          5 * Math.sqrt(squares[i]! / seeds / seeds) + 5 / seeds,
        );
      const mean = sums.reduce((a, b) => a + b, 0) / seeds / spread.length;
      expect(Math.abs(mean)).toBeLessThan(0.003);
    },
  );

  test('is in f32 what it was, to the last bit, minus zero and denormals among them', () => {
    const values = Float64Array.from([0, -0, 2 ** -149, -(2 ** -140), 1, 1 + 2 ** -23, 3.4028234663852886e38]);
    const out = roundTrip('f32', values);
    expect(out.every((y, i) => Object.is(y, values[i]))).toBe(true);
  });

  test.each(['int8', 'int4', 'bf16'] as const)('of zeros stays one in %s', (exchange) => {
    expect(roundTrip(exchange, new Float64Array(7))).toEqual(new Float64Array(7));
  });

  test.each(['int8', 'int4'] as const)('of denormals alone is exact in %s where it holds few of them', (exchange) => {
    const values = Float64Array.from([1, -3, 0, 7, 2], (k) => k * 2 ** -149);
    expect(roundTrip(exchange, values)).toEqual(values);
  });

  test.each(['int8', 'int4'] as const)(
    'holds in %s differences beyond the largest f32, and its ends exactly signed',
    (exchange) => {
      const values = Float64Array.from([6.8e38, -6.8e38, 0]);
      const out = roundTrip(exchange, values);
      expect(out[0]).toBe(-out[1]!);
      expect(out[0]! / 6.8e38).toBeCloseTo(1, 6);
    },
  );

  test.each(exchanges)('of one number and of odd lengths comes back in %s', (exchange) => {
    for (const length of [1, 2, 3, 5]) {
      const values = Float64Array.from({ length }, (_, i) => (i % 2 ? -0.5 : 0.5));
      for (const [i, y] of roundTrip(exchange, values).entries()) expect(y).toBeCloseTo(values[i]!, 6);
    }
  });

  test.each(exchanges)('with a number that is none or infinite is refused in %s', (exchange) => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      expect(packed(exchange, Float64Array.from([1, bad, 2])).good).toBe(false);
  });

  test('beyond the largest bfloat16 is refused there', () => {
    const seeds = [1, 2, 3, 4, 5, 6, 7, 8];
    const good = seeds.map((seed) => packed('bf16', Float64Array.from([3.4028234663852886e38]), seed).good);
    expect(good).toContain(false);
  });
});

describe('rounding', () => {
  test('is drawn by place: a number gets the same code in whatever piece it is written', () => {
    const whole = roundTrip('int8', spread);
    const largest = spread.findIndex((x) => Math.abs(x) === Math.max(...spread.map(Math.abs)));
    const tail = roundTrip('int8', spread.subarray(largest), 1, largest);
    expect(tail).toEqual(whole.subarray(largest));
  });

  test('differs by seed, round, slot, merger and parameter, and is even over 64 cells', () => {
    const streams = [
      roundingKeys(1, 0, 0, 'a'),
      roundingKeys(2, 0, 0, 'a'),
      roundingKeys(1, 1, 0, 'a'),
      roundingKeys(1, 0, 1, 'a'),
      roundingKeys(1, 0, 'merged', 'a'),
      roundingKeys(1, 0, 0, 'b'),
    ];
    const drawn = streams.map(({ a, b }) => Float64Array.from({ length: 16_384 }, (_, i) => uniformAt(i, a, b)));
    for (const [k, one] of drawn.entries()) {
      const cells = new Float64Array(64);
      for (const u of one) cells[Math.floor(u * 64)]!++;
      // Chi-squared of 63 degrees: above 125 once in 200,000.
      expect(cells.reduce((sum, n) => sum + (n - 256) ** 2 / 256, 0)).toBeLessThan(125);
      for (const other of drawn.slice(k + 1)) {
        const products = one.reduce((sum, u, i) => sum + (u - 0.5) * (other[i]! - 0.5), 0) / one.length;
        // A correlation of 0.05 would be six deviations.
        expect(Math.abs(products * 12)).toBeLessThan(0.05);
      }
    }
  });
});
