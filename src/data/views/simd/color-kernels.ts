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
  type Local,
  through,
  v128,
} from '../../../simd/assemble.ts';

/** Changes of colour, in place: what `color.ts` and `hue.ts` do to one byte after the other, rounded at the same steps. */

const number = (value: number) => i32x4.splat(i32.of(value));
const numbers = (value: number) => f32x4.of(number(value));
/** Of float32, as doubles. */
const firstTwo = (lanes: Code) => f64x2.promoted(lanes);
const lastTwo = (lanes: Code) =>
  f64x2.promoted(i8x16.shuffle(lanes, lanes, [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]));

/** Four pixels lie in twelve bytes: of each the byte of a channel. */
const channel = (pixels: Code, c: number) =>
  i8x16.at(pixels, v128.of([0, 3, 6, 9].flatMap((at) => [at + c, 255, 255, 255])));
/** The first three bytes of each lane, and four zeros. */
const packed = (lanes: Code) => i8x16.at(lanes, v128.of([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 255, 255, 255, 255]));
/**
 * Over twelve bytes after twelve, `pixels` being the next ones. They are read before the four zeros are written over them,
 * which is no matter in itself, but a processor waits where it reads what it has just written in part.
 */
const overPixels = (
  { at, size, end, v, next }: Record<'at' | 'size' | 'end' | 'v' | 'next', Local>,
  ...body: Code[]
) => [
  next.set(v128.load(at.get)),
  through(at, end, size, 12, v.set(next.get), next.set(v128.load(at.get, 12)), ...body),
];
const inOne = (r: Code, g: Code, b: Code) =>
  v128.or(r, v128.or(i32x4.shiftLeft(g, i32.of(8)), i32x4.shiftLeft(b, i32.of(16))));

/** As `luma` in `color.ts`. */
const luma = (r: Code, g: Code, b: Code) =>
  i32x4.shiftRight(
    i32x4.add(
      i32x4.add(i32x4.mul(r, number(19_595)), i32x4.mul(g, number(38_470))),
      i32x4.add(i32x4.mul(b, number(7471)), number(0x8000)),
    ),
    i32.of(16),
  );

/** `size` bytes, sixteen at a time, mixed with `from`: clamped and truncated. */
const blend = kernel(
  'blend',
  { at: 'i32', size: 'i32', from: 'f32', share: 'f32' },
  { end: 'i32', v: 'v128', grey: 'v128', part: 'v128' },
  ({ at, size, from, share, end, v, grey, part }) => {
    const mixed = (lanes: Code) =>
      i32x4.truncated(f32x4.add(grey.get, f32x4.mul(part.get, f32x4.sub(f32x4.of(lanes), grey.get))));
    const two = (words: Code) => i16x8.narrow(mixed(i32x4.low(words)), mixed(i32x4.high(words)));
    return [
      grey.set(f32x4.splat(from.get)),
      part.set(f32x4.splat(share.get)),
      through(
        at,
        end,
        size,
        16,
        v.set(v128.load(at.get)),
        v128.store(at.get, i8x16.narrow(two(i16x8.low(v.get)), two(i16x8.high(v.get)))),
      ),
    ];
  },
);

/** Four sums of luma to `to`, which are to be added. What lies behind `size` bytes, up to whole twelves, has to be 0. */
const sumLuma = kernel(
  'sumLuma',
  { at: 'i32', size: 'i32', to: 'i32' },
  { end: 'i32', v: 'v128', sum: 'v128' },
  ({ at, size, to, end, v, sum }) => [
    sum.set(number(0)),
    through(
      at,
      end,
      size,
      12,
      v.set(v128.load(at.get)),
      sum.set(i32x4.add(sum.get, luma(channel(v.get, 0), channel(v.get, 1), channel(v.get, 2)))),
    ),
    v128.store(to.get, sum.get),
  ],
);

/** Each byte mixed with the grey of its pixel: 0 for `share` is grey alone. */
const saturate = kernel(
  'saturate',
  { at: 'i32', size: 'i32', share: 'f32' },
  { end: 'i32', v: 'v128', next: 'v128', r: 'v128', g: 'v128', b: 'v128', grey: 'v128', part: 'v128' },
  ({ at, size, share, end, v, next, r, g, b, grey, part }) => {
    const mixed = (lanes: Code) =>
      i32x4.truncated(f32x4.add(f32x4.of(grey.get), f32x4.mul(part.get, f32x4.of(i32x4.sub(lanes, grey.get)))));
    const clamped = (lanes: Code) => i32x4.least(i32x4.most(lanes, number(0)), number(255));
    return [
      part.set(f32x4.splat(share.get)),
      ...overPixels(
        { at, size, end, v, next },
        ...[r, g, b].map((lanes, c) => lanes.set(channel(v.get, c))),
        grey.set(luma(r.get, g.get, b.get)),
        ...[r, g, b].map((lanes) => lanes.set(clamped(mixed(lanes.get)))),
        v128.store(at.get, packed(inOne(r.get, g.get, b.get))),
      ),
    ];
  },
);

/** Where the most, what lies between and the least are in red, by the sixth of the circle; in green four on, in blue two on. */
const placesBySixth = v128.of([0, 1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 0, 0, 0]);
const redGreenBlue = number(0x020400);
const lanePlaces = v128.of([0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12]);

/**
 * Hues turned by `steps` of 256. Pillow reckons partly in float32 and partly in doubles; where float32 stands here for those,
 * or a product for a quotient, every case there is was tried: of hue 197,370, of saturation and of the least byte 32,640 each.
 */
const turnHue = kernel(
  'turnHue',
  { at: 'i32', size: 'i32', steps: 'i32' },
  {
    ...{
      end: 'i32',
      v: 'v128',
      next: 'v128',
      r: 'v128',
      g: 'v128',
      b: 'v128',
      most: 'v128',
      range: 'v128',
      x: 'v128',
      y: 'v128',
    },
    ...{ z: 'v128', share: 'v128', sector: 'v128', even: 'v128', part: 'v128', kept: 'v128' },
  },
  ({ at, size, steps, end, v, next, r, g, b, most, range, x, y, z, share, sector, even, part, kept }) => {
    const away = (lanes: Code) => f32x4.div(f32x4.of(i32x4.sub(most.get, lanes)), range.get);
    // 0 of what is not a number, as grey has it.
    const byte = (part: Code) => i32x4.truncated(f32x4.mul(part, numbers(255)));
    const [one, sixth] = [f64x2.of(number(1)), f64x2.splat(1 / 6)];
    const fraction = (sixths: Code) => [
      ...kept.set(f64x2.add(f64x2.mul(sixths, sixth), one)),
      ...f32x4.demoted(f64x2.sub(kept.get, f64x2.floor(kept.get))),
    ];
    const rounded = (lanes: Code) => [
      ...kept.set(lanes),
      ...i32x4.shiftRight(i32x4.add(i32x4.truncated(f32x4.add(kept.get, kept.get)), number(1)), i32.of(1)),
    ];
    const between = (half: (lanes: Code) => Code) => {
      const weight = f64x2.size(f64x2.sub(half(part.get), half(even.get)));
      const kept = f64x2.sub(one, f64x2.mul(half(share.get), weight));
      return f32x4.demoted(f64x2.mul(half(f32x4.of(most.get)), kept));
    };
    return [
      ...overPixels(
        { at, size, end, v, next },
        ...[r, g, b].map((lanes, c) => lanes.set(channel(v.get, c))),
        most.set(i32x4.most(i32x4.most(r.get, g.get), b.get)),
        range.set(f32x4.of(i32x4.sub(most.get, i32x4.least(i32x4.least(r.get, g.get), b.get)))),
        x.set(away(r.get)),
        y.set(away(g.get)),
        z.set(away(b.get)),
        x.set(
          v128.choose(
            f32x4.sub(z.get, y.get),
            v128.choose(
              f32x4.sub(f32x4.add(numbers(2), x.get), z.get),
              f32x4.sub(f32x4.add(numbers(4), y.get), x.get),
              i32x4.equal(g.get, most.get),
            ),
            i32x4.equal(r.get, most.get),
          ),
        ),
        y.set(byte(joined(fraction(firstTwo(x.get)), fraction(lastTwo(x.get))))),
        y.set(v128.and(i32x4.add(y.get, i32x4.splat(steps.get)), number(255))),
        share.set(f32x4.div(f32x4.of(byte(f32x4.div(range.get, f32x4.of(most.get)))), numbers(255))),
        part.set(f32x4.div(f32x4.of(i32x4.mul(y.get, number(6))), numbers(255))),
        sector.set(i32x4.truncated(part.get)),
        part.set(f32x4.sub(part.get, f32x4.of(sector.get))),
        // In every second sixth of the circle what lies between falls.
        even.set(f32x4.of(v128.and(i32x4.add(sector.get, number(1)), number(1)))),
        x.set(rounded(joined(between(firstTwo), between(lastTwo)))),
        y.set(rounded(f32x4.mul(f32x4.of(most.get), f32x4.sub(numbers(1), share.get)))),
        z.set(i8x16.at(placesBySixth, i32x4.add(i32x4.mul(sector.get, number(0x010101)), redGreenBlue))),
        x.set(i8x16.at(inOne(most.get, x.get, y.get), i32x4.add(z.get, lanePlaces))),
        v128.store(at.get, packed(x.get)),
      ),
    ];
  },
);

export const colorKernels = [blend, sumLuma, saturate, turnHue];
