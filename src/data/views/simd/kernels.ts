import { shareBits } from '../taps.ts';
import { type Code, f32x4, f64x2, i8x16, i16x8, i32, i32x4, kernel, repeat, v128 } from './assemble.ts';

/** Loops over pictures, several bytes in each step. Sums and roundings are those of the plain loops, one by one. */

const half = i32x4.splat(i32.of(1 << (shareBits - 1)));
const rounded = (sum: Code) => i32x4.shiftRight(sum, i32.of(shareBits));
/** Red, green, blue and the byte after them, each in a lane. */
const pixel = (at: Code) => i32x4.low(i16x8.low(v128.load32Zero(at)));
/** Four lanes as bytes, clamped. */
const bytes = (lanes: Code) => i8x16.narrow(i16x8.narrow(lanes, lanes), lanes);

/**
 * A line of a resized picture along itself: `width` pixels to `to`, each from its taps, of which `table` tells the
 * place of the first and the number, as `shares` tells `reach` bytes of shares. Two lines at once, `next` and `below` apart.
 */
const resizeLine = kernel(
  'resizeLine',
  { from: 'i32', next: 'i32', to: 'i32', below: 'i32', width: 'i32', table: 'i32', shares: 'i32', reach: 'i32' },
  { end: 'i32', p: 'i32', q: 'i32', s: 'i32', last: 'i32', one: 'v128', two: 'v128', share: 'v128' },
  ({ from, next, to, below, width, table, shares, reach, end, p, q, s, last, one, two, share }) => [
    end.set(i32.add(table.get, width.get)),
    repeat(
      table,
      end.get,
      i32.of(8),
      p.set(i32.add(from.get, i32.load(table.get))),
      q.set(i32.add(p.get, next.get)),
      s.set(shares.get),
      last.set(i32.add(shares.get, i32.load(table.get, 4))),
      one.set(half),
      two.set(half),
      repeat(
        s,
        last.get,
        i32.of(4),
        share.set(v128.load32Splat(s.get)),
        one.set(i32x4.add(one.get, i32x4.mul(share.get, pixel(p.get)))),
        two.set(i32x4.add(two.get, i32x4.mul(share.get, pixel(q.get)))),
        p.set(i32.add(p.get, i32.of(3))),
        q.set(i32.add(q.get, i32.of(3))),
      ),
      v128.store32(to.get, bytes(rounded(one.get))),
      v128.store32(i32.add(to.get, below.get), bytes(rounded(two.get))),
      to.set(i32.add(to.get, i32.of(3))),
      shares.set(i32.add(shares.get, reach.get)),
    ),
  ],
);

/** `line` bytes at `to`, from as many in each of the lines at `from`, `stride` apart: one for each share up to `last`. */
const weighLines = kernel(
  'weighLines',
  { from: 'i32', stride: 'i32', to: 'i32', line: 'i32', shares: 'i32', last: 'i32' },
  { end: 'i32', p: 'i32', s: 'i32', share: 'v128', v: 'v128', a: 'v128', b: 'v128', c: 'v128', d: 'v128' },
  ({ from, stride, to, line, shares, last, end, p, s, share, v, a, b, c, d }) => {
    const add = (sum: typeof a, lanes: Code) => sum.set(i32x4.add(sum.get, i32x4.mul(share.get, lanes)));
    return [
      end.set(i32.add(to.get, line.get)),
      repeat(
        to,
        end.get,
        i32.of(16),
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

/** The same of doubles, rounded to float32 in the end: `line` bytes of them, four at a time. */
const weighDoubles = kernel(
  'weighDoubles',
  { from: 'i32', stride: 'i32', to: 'i32', line: 'i32', shares: 'i32', last: 'i32' },
  { end: 'i32', p: 'i32', s: 'i32', share: 'v128', a: 'v128', b: 'v128' },
  ({ from, stride, to, line, shares, last, end, p, s, share, a, b }) => {
    const rounded = (sum: Code) => f64x2.promoted(f32x4.demoted(sum));
    const add = (sum: typeof a, offset: number) =>
      sum.set(f64x2.add(sum.get, f64x2.mul(share.get, v128.load(p.get, offset))));
    return [
      end.set(i32.add(to.get, line.get)),
      repeat(
        to,
        end.get,
        i32.of(32),
        a.set(i32x4.splat(i32.of(0))),
        b.set(i32x4.splat(i32.of(0))),
        p.set(from.get),
        s.set(shares.get),
        repeat(
          s,
          last.get,
          i32.of(8),
          share.set(v128.load64Splat(s.get)),
          add(a, 0),
          add(b, 16),
          p.set(i32.add(p.get, stride.get)),
        ),
        v128.store(to.get, rounded(a.get)),
        v128.store(i32.add(to.get, i32.of(16)), rounded(b.get)),
        from.set(i32.add(from.get, i32.of(32))),
      ),
    ];
  },
);

/** Bytes as doubles, `size` bytes of those, four at a time. */
const widen = kernel('widen', { from: 'i32', to: 'i32', size: 'i32' }, { end: 'i32' }, ({ from, to, size, end }) => [
  end.set(i32.add(to.get, size.get)),
  repeat(
    to,
    end.get,
    i32.of(32),
    v128.store(to.get, f64x2.of(pixel(from.get))),
    v128.store(i32.add(to.get, i32.of(16)), f64x2.of(pixel(i32.add(from.get, i32.of(2))))),
    from.set(i32.add(from.get, i32.of(4))),
  ),
]);

/** Doubles that are not negative as bytes, rounded half up: `size` bytes of doubles, four at a time. */
const narrow = kernel(
  'narrow',
  { from: 'i32', to: 'i32', size: 'i32' },
  { end: 'i32', half: 'v128' },
  ({ from, to, size, end, half }) => {
    const two = (offset: number) => bytes(i32x4.truncatedDoubles(f64x2.add(v128.load(from.get, offset), half.get)));
    return [
      // 0.5 in float32.
      half.set(f64x2.promoted(i32x4.splat(i32.of(0x3f000000)))),
      end.set(i32.add(from.get, size.get)),
      repeat(
        from,
        end.get,
        i32.of(32),
        v128.store32(to.get, two(0)),
        // Over the zeros behind the first two.
        v128.store32(i32.add(to.get, i32.of(2)), two(16)),
        to.set(i32.add(to.get, i32.of(4))),
      ),
    ];
  },
);

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
      end.set(i32.add(table.get, width.get)),
      repeat(
        table,
        end.get,
        i32.of(12),
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

export const kernels = [resizeLine, weighLines, weighDoubles, interpolate, widen, narrow];
