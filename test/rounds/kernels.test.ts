import { describe, expect, test } from 'vitest';
import { allFinite } from '../../src/rounds/apply.ts';
import { blockBytes } from '../../src/rounds/exchange.ts';
import { PieceMemory } from '../../src/rounds/memory.ts';
import { stepBlock } from '../../src/rounds/merge.ts';
import { largestOf, PackedBlock, packBlock } from '../../src/rounds/pack.ts';
import { roundingKeys } from '../../src/rounds/rounding.ts';
import { takeDifference } from '../../src/rounds/write-delta.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { slowlyRounded } from '../activities/slow-rounding.ts';

/** Each loop over many numbers at once is held, bit for bit, against one over single numbers that is written here. */
const stream = randomStream(11, 'kernels');
const sizes = [...Array.from({ length: 70 }, (_, i) => i + 1), 768, 4096];
const kinds: Readonly<Record<string, () => number>> = {
  ordinary: () => 0.01 * stream.normal(),
  'of all orders': () => stream.normal() * 2 ** Math.floor(60 * stream.next() - 30),
  denormal: () => Math.floor(9 * stream.next() - 4) * 2 ** -149,
  'zero, minus zero or one': () => [0, -0, 1][stream.below(3)]!,
  'zero and minus zero': () => [0, -0][stream.below(2)]!,
  huge: () => stream.normal() * 2 ** 124,
};
const coded = ['int8', 'int4'] as const;
const cases = coded.flatMap((exchange) => Object.keys(kinds).map((kind) => [exchange, kind] as const));
/** Bits of doubles: minus zero is not zero. */
const bits = (values: Float64Array | Float32Array | readonly number[]) =>
  Buffer.from(Float64Array.from(values).buffer).toString('hex');

/** A piece that holds other numbers before and after the block that is looked at. */
const beside = 3;
function laid(size: number, kind: string) {
  const piece = PieceMemory.take();
  const count = size + 2 * beside;
  piece.lay(count);
  const draw = kinds[kind]!;
  for (const numbers of [piece.values, piece.old, piece.now]) for (let i = 0; i < count; i++) numbers[i] = draw();
  return { piece, values: [...piece.values], old: [...piece.old], now: [...piece.now] };
}

/** What is in the block is made by `make`, and what lies beside it stays. */
const within = (before: readonly number[], make: (x: number, i: number) => number) =>
  before.map((x, i) => (i < beside || i >= before.length - beside ? x : make(x, i - beside)));

/** A block of codes, drawn: with the largest and the least among them. */
function drawnBlock(exchange: 'int8' | 'int4', size: number, scale: number) {
  const view = new DataView(new ArrayBuffer(blockBytes(exchange, size) + 5), 5);
  view.setFloat32(0, scale, true);
  const most = exchange === 'int8' ? 127 : 7;
  const codes = Array.from({ length: size }, () => stream.below(2 * most + 1) - most);
  for (const [i, code] of codes.entries())
    if (exchange === 'int8') view.setInt8(4 + i, code);
    else view.setUint8(4 + (i >> 1), view.getUint8(4 + (i >> 1)) | ((code + 8) << (i % 2 === 0 ? 0 : 4)));
  return { block: new PackedBlock(exchange, view, 0, size), changes: codes.map((code) => code * Math.fround(scale)) };
}

describe.each(cases)('blocks of 1 to 70, 768 and 4,096 numbers in %s, %s', (exchange, kind) => {
  test('are packed as by a slow loop in whole numbers, at places up to 2^32', () => {
    for (const [n, size] of sizes.entries()) {
      const { piece, values } = laid(size, kind);
      const first = [0, 2 ** 31 - 5, 2 ** 32 - size, 12_345][n % 4]!;
      const out = new DataView(new ArrayBuffer(blockBytes(exchange, size) + 2), 1);
      const packing = { first, keys: roundingKeys(3, n, 1, 'p') };
      expect(packBlock(exchange, piece, beside, size, packing, out, 0)).toBe(true);
      const read = new PackedBlock(exchange, out, 0, size);
      const chance = { seed: 3, round: n, who: 1, parameter: 'p' };
      const slow = slowlyRounded(exchange, values.slice(beside, beside + size), size, first, chance);
      expect(bits(slow.map((_, i) => read.change(i)))).toBe(bits(slow));
      // What lies behind the block stays, and the half of a byte that is left over says 0.
      expect(out.getUint8(out.byteLength - 1)).toBe(0);
      if (exchange === 'int4' && size % 2 === 1) expect(out.getUint8(out.byteLength - 2) >> 4).toBe(8);
      expect(bits(piece.values)).toBe(bits(values));
      piece.giveBack();
    }
  });

  test('are weighed, added to a mean and applied as one by one', () => {
    for (const size of sizes) {
      const { piece, values, now } = laid(size, kind);
      const scale = Math.abs(kinds[kind]!()) / 127;
      const weight = stream.next();
      const { block, changes } = drawnBlock(exchange, size, scale);
      block.weigh(weight, piece, beside, true);
      expect(bits(piece.values)).toBe(bits(within(values, (x, i) => x + weight * changes[i]!)));
      block.weigh(weight, piece, beside, false);
      expect(bits(piece.values)).toBe(bits(within(values, (_, i) => weight * changes[i]!)));
      block.apply(piece, beside);
      expect(bits(piece.now)).toBe(bits(within(now, (x, i) => Math.fround(x + changes[i]!))));
      piece.giveBack();
    }
  });
});

describe.each(Object.keys(kinds))('pieces of 1 to 70, 768 and 4,096 numbers, %s', (kind) => {
  test('are subtracted, and their largest found, as one by one', () => {
    for (const size of sizes) {
      const { piece, values, old, now } = laid(size, kind);
      const block = values.slice(beside, beside + size);
      expect(largestOf(piece, beside, size)).toBe(block.reduce((most, x) => Math.max(most, Math.abs(x)), 0));
      takeDifference(piece);
      expect(bits(piece.values)).toBe(bits(now.map((x, i) => x - old[i]!)));
      piece.giveBack();
    }
  });

  test.each([
    ['with momentum of Nesterov', { rate: 0.7, momentum: 0.9 }],
    ['with plain momentum', { rate: 0.7, momentum: 0.9, nesterov: false }],
    ['without momentum', { rate: 0.3, momentum: 0 }],
  ] as const)('are stepped %s as one by one', (_, outer) => {
    const { rate, momentum } = outer;
    for (const size of sizes) {
      const { piece, values, old } = laid(size, kind);
      stepBlock(outer, piece, beside, beside + size);
      const buffer = (i: number) => Math.fround(momentum * old[beside + i]! - values[beside + i]!);
      const step = (change: number, i: number) => {
        if (momentum === 0) return rate * (change - 0 * old[beside + i]!);
        return 'nesterov' in outer ? -rate * buffer(i) : rate * (change - momentum * buffer(i));
      };
      expect(bits(piece.values)).toBe(bits(within(values, step)));
      expect(bits(piece.old)).toBe(bits(momentum === 0 ? old : within(old, (_, i) => buffer(i))));
      piece.giveBack();
    }
  });
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
  '%d is found at every place of blocks of 1 to 70 numbers, and beside them not',
  (bad) => {
    for (const size of sizes.slice(0, 70))
      for (let place = 0; place < size + 2 * beside; place++) {
        const { piece } = laid(size, 'huge');
        piece.values[place] = bad;
        const inBlock = place >= beside && place < beside + size;
        expect(Number.isNaN(largestOf(piece, beside, size))).toBe(inBlock);
        expect(allFinite(piece)).toBe(true);
        piece.now[place] = bad;
        expect(allFinite(piece)).toBe(false);
        piece.giveBack();
      }
  },
);

test('two pieces that are held at once have numbers of their own, and one that grows keeps working', () => {
  const [one, other] = [PieceMemory.take(), PieceMemory.take()];
  one.lay(300_000);
  other.lay(16);
  one.now.fill(5);
  one.old.fill(3);
  other.now.fill(1);
  other.old.fill(2);
  takeDifference(one);
  takeDifference(other);
  expect(new Set(one.values)).toEqual(new Set([2]));
  expect(new Set(other.values)).toEqual(new Set([-1]));
  one.giveBack();
  other.giveBack();
});
