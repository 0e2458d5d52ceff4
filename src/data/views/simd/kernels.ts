import {
  type Code,
  f32x4,
  f64x2,
  i8x16,
  i16x8,
  i32,
  i32x4,
  joined,
  kernel,
  repeat,
  through,
  v128,
} from '../../../simd/assemble.ts';
import { shareBits } from '../taps.ts';
import { colorKernels } from './color-kernels.ts';

/** Loops over pictures, several bytes in each step. Sums and roundings are those of the plain loops, one by one. */

/** Bits of a share that are multiplied by themselves, so that each part fits sixteen bits with a sign. */
export const lowBits = 15;

const half = i32x4.splat(i32.of(1 << (shareBits - 1)));
const rounded = (sum: Code) => i32x4.shiftRight(sum, i32.of(shareBits));
/** Red, green, blue and the byte after them, each in a lane. */
const pixel = (at: Code) => i32x4.low(i16x8.low(v128.load32Zero(at)));
/** Four lanes as bytes, clamped. */
const bytes = (lanes: Code) => i8x16.narrow(i16x8.narrow(lanes, lanes), lanes);

/** Of the pixels `first` and the one after it: both reds, both greens, both blues, each in sixteen bits. */
const twoPixels = (bytes: Code, first: number) => {
  const places = [0, 3, 1, 4, 2, 5].flatMap((byte) => [3 * first + byte, 255]);
  return i8x16.at(bytes, v128.of([...places, 255, 255, 255, 255]));
};

/**
 * A line of a resized picture along itself: `width` pixels to `to`, each from its taps, of which `table` tells the
 * place of the first and the bytes of its shares, as `reach` tells the bytes from one's shares to the next one's. Two lines at
 * once, `next` and `below` apart. Shares are split as `lay-taps.ts` has it, so that one product takes two taps of all colours.
 */
const resizeLine = kernel(
  'resizeLine',
  { from: 'i32', next: 'i32', to: 'i32', below: 'i32', width: 'i32', table: 'i32', shares: 'i32', reach: 'i32' },
  {
    ...{
      end: 'i32',
      p: 'i32',
      q: 'i32',
      s: 'i32',
      last: 'i32',
      one: 'v128',
      two: 'v128',
      oneLow: 'v128',
      twoLow: 'v128',
    },
    ...{ share: 'v128', bytes: 'v128', a: 'v128', b: 'v128', c: 'v128', d: 'v128' },
  },
  ({ from, next, to, below, width, table, shares, reach, end, p, q, s, last, one, two, oneLow, twoLow, ...rest }) => {
    const { share, bytes: loaded, a, b, c, d } = rest;
    const add = (sum: typeof a, taps: typeof a) => sum.set(i32x4.add(sum.get, i32x4.dot(taps.get, share.get)));
    const whole = (high: Code, low: Code) => bytes(rounded(i32x4.add(i32x4.shiftLeft(high, i32.of(lowBits)), low)));
    return [
      through(
        table,
        end,
        width,
        8,
        p.set(i32.add(from.get, i32.load(table.get))),
        q.set(i32.add(p.get, next.get)),
        s.set(shares.get),
        last.set(i32.add(shares.get, i32.load(table.get, 4))),
        ...[one, two].map((sum) => sum.set(i32x4.splat(i32.of(0)))),
        ...[oneLow, twoLow].map((sum) => sum.set(half)),
        repeat(
          s,
          last.get,
          i32.of(16),
          loaded.set(v128.load(p.get)),
          a.set(twoPixels(loaded.get, 0)),
          b.set(twoPixels(loaded.get, 2)),
          loaded.set(v128.load(q.get)),
          c.set(twoPixels(loaded.get, 0)),
          d.set(twoPixels(loaded.get, 2)),
          ...([0, 4, 8, 12] as const).flatMap((offset) => [
            share.set(v128.load32Splat(s.get, offset)),
            add(offset < 8 ? one : oneLow, offset % 8 === 0 ? a : b),
            add(offset < 8 ? two : twoLow, offset % 8 === 0 ? c : d),
          ]),
          p.set(i32.add(p.get, i32.of(12))),
          q.set(i32.add(q.get, i32.of(12))),
        ),
        v128.store32(to.get, whole(one.get, oneLow.get)),
        v128.store32(i32.add(to.get, below.get), whole(two.get, twoLow.get)),
        to.set(i32.add(to.get, i32.of(3))),
        shares.set(i32.add(shares.get, reach.get)),
      ),
    ];
  },
);

/** `line` bytes at `to`, from as many in each of the lines at `from`, `stride` apart: one for each share up to `last`. */
const weighLines = kernel(
  'weighLines',
  { from: 'i32', stride: 'i32', to: 'i32', line: 'i32', shares: 'i32', last: 'i32' },
  { end: 'i32', p: 'i32', s: 'i32', share: 'v128', v: 'v128', a: 'v128', b: 'v128', c: 'v128', d: 'v128' },
  ({ from, stride, to, line, shares, last, end, p, s, share, v, a, b, c, d }) => {
    const add = (sum: typeof a, lanes: Code) => sum.set(i32x4.add(sum.get, i32x4.mul(share.get, lanes)));
    return [
      through(
        to,
        end,
        line,
        16,
        ...[a, b, c, d].map((sum) => sum.set(half)),
        p.set(from.get),
        s.set(shares.get),
        repeat(
          s,
          last.get,
          i32.of(4),
          share.set(v128.load32Splat(s.get)),
          v.set(v128.load(p.get)),
          add(a, i32x4.low(i16x8.low(v.get))),
          add(b, i32x4.high(i16x8.low(v.get))),
          add(c, i32x4.low(i16x8.high(v.get))),
          add(d, i32x4.high(i16x8.high(v.get))),
          p.set(i32.add(p.get, stride.get)),
        ),
        v128.store(
          to.get,
          i8x16.narrow(i16x8.narrow(rounded(a.get), rounded(b.get)), i16x8.narrow(rounded(c.get), rounded(d.get))),
        ),
        from.set(i32.add(from.get, i32.of(16))),
      ),
    ];
  },
);

/** The same of doubles, eight at a time, of which `line` tells the bytes; `store` has four vectors of two sums each. */
const weighing = (name: string, bytesOfEight: number, store: (to: Code, sums: readonly Code[]) => readonly Code[]) =>
  kernel(
    name,
    { from: 'i32', stride: 'i32', to: 'i32', line: 'i32', shares: 'i32', last: 'i32' },
    { end: 'i32', p: 'i32', s: 'i32', share: 'v128', a: 'v128', b: 'v128', c: 'v128', d: 'v128' },
    ({ from, stride, to, line, shares, last, end, p, s, share, a, b, c, d }) => {
      const all = [a, b, c, d];
      const add = (sum: typeof a, i: number) =>
        sum.set(f64x2.add(sum.get, f64x2.mul(share.get, v128.load(p.get, 16 * i))));
      return [
        through(
          from,
          end,
          line,
          64,
          ...all.map((sum) => sum.set(i32x4.splat(i32.of(0)))),
          p.set(from.get),
          s.set(shares.get),
          repeat(
            s,
            last.get,
            i32.of(8),
            share.set(v128.load64Splat(s.get)),
            ...all.map(add),
            p.set(i32.add(p.get, stride.get)),
          ),
          ...store(
            to.get,
            all.map(({ get }) => get),
          ),
          to.set(i32.add(to.get, i32.of(bytesOfEight))),
        ),
      ];
    },
  );

const inFloat32 = (sum: Code) => f64x2.promoted(f32x4.demoted(sum));
/** To doubles, rounded to float32. */
const weighDoubles = weighing('weighDoubles', 64, (to, sums) =>
  sums.map((sum, i) => v128.store(i32.add(to, i32.of(16 * i)), inFloat32(sum))),
);
/** To bytes, rounded to float32 and then half up: no sum is negative. */
const weighToBytes = weighing('weighToBytes', 8, (to, sums) => {
  const half = f64x2.splat(0.5);
  const [a, b, c, d] = sums.map((sum) => i32x4.truncatedDoubles(f64x2.add(inFloat32(sum), half)));
  const words = i16x8.narrow(joined(a!, b!), joined(c!, d!));
  return [v128.store(to, i8x16.narrow(words, words))];
});

/** Bytes as doubles, `size` bytes of those, four at a time. */
const widen = kernel('widen', { from: 'i32', to: 'i32', size: 'i32' }, { end: 'i32' }, ({ from, to, size, end }) => [
  through(
    to,
    end,
    size,
    32,
    v128.store(to.get, f64x2.of(pixel(from.get))),
    v128.store(i32.add(to.get, i32.of(16)), f64x2.of(pixel(i32.add(from.get, i32.of(2))))),
    from.set(i32.add(from.get, i32.of(4))),
  ),
]);

/**
 * A line of `width` pixels at `to` between the lines at `upper` and `lower`, `share` of the way down, in float32 as
 * TensorFlow does. `table` tells for each pixel the places of its two neighbours and the share of the second.
 */
const interpolate = kernel(
  'interpolate',
  { upper: 'i32', lower: 'i32', to: 'i32', width: 'i32', table: 'i32', share: 'f32' },
  { end: 'i32', left: 'i32', right: 'i32', x: 'v128', y: 'v128', a: 'v128', b: 'v128' },
  ({ upper, lower, to, width, table, share, end, left, right, x, y, a, b }) => {
    const between = (from: Code, to: Code, share: Code) => f32x4.add(from, f32x4.mul(f32x4.sub(to, from), share));
    const at = (line: Code, place: Code) => f32x4.of(pixel(i32.add(line, place)));
    const along = (line: Code) => between(at(line, left.get), at(line, right.get), x.get);
    return [
      y.set(f32x4.splat(share.get)),
      through(
        table,
        end,
        width,
        12,
        left.set(i32.load(table.get)),
        right.set(i32.load(table.get, 4)),
        x.set(v128.load32Splat(table.get, 8)),
        a.set(along(upper.get)),
        b.set(along(lower.get)),
        v128.store32(to.get, bytes(i32x4.truncated(between(a.get, b.get, y.get)))),
        to.set(i32.add(to.get, i32.of(3))),
      ),
    ];
  },
);

export const kernels = [resizeLine, weighLines, weighDoubles, weighToBytes, interpolate, widen, ...colorKernels];
