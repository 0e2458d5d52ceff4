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
  lastTwo,
  through,
  v128,
} from '../simd/assemble.ts';

/**
 * The loops over the numbers of a round, eight at a time: as many as `lanes` divides, and at least those. Each number is
 * computed as the plain loops beside those who run these do it for what is left over, operation by operation: the bytes are the same.
 */
export const lanes = 8;

/** Four floats as two vectors of doubles. */
const doubles = (four: Code): readonly [Code, Code] => [f64x2.promoted(four), f64x2.promoted(lastTwo(four))];

/** To `to` two doubles of which the larger is the largest magnitude, and two that are zero where all numbers are finite. */
const largest = kernel(
  'largest',
  { at: 'i32', size: 'i32', to: 'i32' },
  { end: 'i32', x: 'v128', a: 'v128', b: 'v128', c: 'v128', d: 'v128', s: 'v128', t: 'v128' },
  ({ at, size, to, end, x, a, b, c, d, s, t }) => [
    through(
      at,
      end,
      size,
      64,
      ...[a, b, c, d].flatMap((most, i) => {
        const finite = i % 2 === 0 ? s : t;
        return [
          x.set(f64x2.size(v128.load(at.get, 16 * i))),
          most.set(f64x2.larger(most.get, x.get)),
          finite.set(f64x2.add(finite.get, f64x2.sub(x.get, x.get))),
        ];
      }),
    ),
    v128.store(to.get, f64x2.larger(f64x2.larger(a.get, b.get), f64x2.larger(c.get, d.get))),
    v128.store(to.get, f64x2.add(s.get, t.get), 16),
  ],
);

/** Added to a whole number, its last bits are those of that number as an integer. */
const wholeBits = 1.5 * 2 ** 52;
/** The first half of each of two times two doubles. */
const firstHalves = (a: Code, b: Code) =>
  i8x16.shuffle(a, b, [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]);

/** Shifts and factors of `uniformAt`, and what comes between its two rounds. */
const [firstRound, secondRound] = [
  [16, 0x85ebca6b, 13, 0xc2b2ae35],
  [16, 0x7feb352d, 15, 0x846ca68b],
] as const;

/**
 * Codes of the doubles from `at` on: floor(x / scale + u), of the first with u at `place`, to which the first key has been added.
 * `bytesOfEight` go to `to`, made of the codes in sixteen bits each.
 */
const coding = (name: string, bytesOfEight: number, store: (to: Code, codes: Code) => Code) =>
  kernel(
    name,
    { at: 'i32', size: 'i32', to: 'i32', place: 'i32', key: 'i32', scale: 'f64' },
    {
      ...{ end: 'i32', places: 'v128', b: 'v128', scales: 'v128', unit: 'v128', whole: 'v128', four: 'v128' },
      ...{ p: 'v128', q: 'v128', r: 'v128', s: 'v128', g: 'v128', h: 'v128' },
    },
    ({ at, size, to, place, key, scale, end, places, b, scales, unit, whole, four, p, q, r, s, g, h }) => {
      const factors = [p, q, r, s] as const;
      const fold = (of: Local, bits: number) => v128.xor(of.get, i32x4.shiftDown(of.get, i32.of(bits)));
      const both = (of: (hash: Local) => Code) => [g, h].flatMap((hash) => hash.set(of(hash)));
      const code = (offset: number, words: Code) =>
        f64x2.add(
          f64x2.floor(
            f64x2.add(f64x2.div(v128.load(at.get, offset), scales.get), f64x2.mul(f64x2.ofUnsigned(words), unit.get)),
          ),
          whole.get,
        );
      const codes = (offset: number, hash: Local) =>
        firstHalves(code(offset, hash.get), code(offset + 16, lastTwo(hash.get)));
      return [
        places.set(i32x4.add(i32x4.splat(place.get), v128.of([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]))),
        b.set(i32x4.splat(key.get)),
        scales.set(f64x2.all(scale.get)),
        unit.set(f64x2.splat(2 ** -32)),
        whole.set(f64x2.splat(wholeBits)),
        four.set(i32x4.splat(i32.of(4))),
        ...[firstRound[1], firstRound[3], secondRound[1], secondRound[3]].map((factor, i) =>
          factors[i]!.set(i32x4.splat(i32.of(factor | 0))),
        ),
        through(
          at,
          end,
          size,
          64,
          g.set(places.get),
          h.set(i32x4.add(places.get, four.get)),
          places.set(i32x4.add(h.get, four.get)),
          both((hash) => i32x4.mul(fold(hash, firstRound[0]), p.get)),
          both((hash) => i32x4.mul(fold(hash, firstRound[2]), q.get)),
          both((hash) => v128.xor(fold(hash, 16), b.get)),
          both((hash) => i32x4.mul(fold(hash, secondRound[0]), r.get)),
          both((hash) => i32x4.mul(fold(hash, secondRound[2]), s.get)),
          both((hash) => fold(hash, 16)),
          store(to.get, i16x8.narrow(codes(0, g), codes(32, h))),
          to.set(i32.add(to.get, i32.of(bytesOfEight))),
        ),
      ];
    },
  );

const codeInt8 = coding('codeInt8', 8, (to, codes) => v128.store64(to, i8x16.narrowSigned(codes, codes)));
/** Each plus 8, the first of a pair in the low half of its byte. */
const codeInt4 = coding('codeInt4', 4, (to, codes) => {
  const pairs = i16x8.add(codes, i16x8.splat(i32.of(8)));
  // Four bits each, sixteen apart: the second of them comes to stand beside the first.
  const bytes = v128.and(v128.or(pairs, i32x4.shiftDown(pairs, i32.of(12))), i32x4.splat(i32.of(255)));
  const words = i16x8.narrow(bytes, bytes);
  return v128.store32(to, i8x16.narrow(words, words));
});

/** Eight codes in sixteen bits each. */
const codesOf = {
  int8: { bytesOfEight: 8, load: (from: Code) => v128.load8x8(from) },
  int4: {
    bytesOfEight: 4,
    load(from: Code) {
      const bytes = i32x4.low(i16x8.low(v128.load32Zero(from)));
      const halves = v128.or(bytes, i32x4.shiftLeft(bytes, i32.of(12)));
      return i16x8.sub(v128.and(halves, i16x8.splat(i32.of(15))), i16x8.splat(i32.of(8)));
    },
  },
} as const;

/** Eight codes times their scale, as four vectors of doubles. */
const decoded = (words: Local, scales: Local): readonly Code[] =>
  [i32x4.lowSigned(words.get), i32x4.highSigned(words.get)].flatMap((four) =>
    [four, lastTwo(four)].map((two) => f64x2.mul(f64x2.of(two), scales.get)),
  );

/** The mean of `size` bytes at `to`: what codes say times `weight`, to begin with, or added. */
const weighing = (name: string, coded: 'int8' | 'int4', add: boolean) =>
  kernel(
    name,
    { from: 'i32', to: 'i32', size: 'i32', scale: 'f64', weight: 'f64' },
    { end: 'i32', words: 'v128', scales: 'v128', weights: 'v128' },
    ({ from, to, size, scale, weight, end, words, scales, weights }) => [
      scales.set(f64x2.all(scale.get)),
      weights.set(f64x2.all(weight.get)),
      through(
        to,
        end,
        size,
        64,
        words.set(codesOf[coded].load(from.get)),
        ...decoded(words, scales).map((change, i) => {
          const part = f64x2.mul(weights.get, change);
          return v128.store(to.get, add ? f64x2.add(v128.load(to.get, 16 * i), part) : part, 16 * i);
        }),
        from.set(i32.add(from.get, i32.of(codesOf[coded].bytesOfEight))),
      ),
    ],
  );

/** Floats at `to`, to which what codes say is added in doubles. */
const applying = (name: string, coded: 'int8' | 'int4') =>
  kernel(
    name,
    { from: 'i32', to: 'i32', size: 'i32', scale: 'f64' },
    { end: 'i32', words: 'v128', scales: 'v128', x: 'v128' },
    ({ from, to, size, scale, end, words, scales, x }) => [
      scales.set(f64x2.all(scale.get)),
      through(
        to,
        end,
        size,
        32,
        words.set(codesOf[coded].load(from.get)),
        ...[0, 1].flatMap((half) => {
          const changes = decoded(words, scales).slice(2 * half, 2 * half + 2);
          const [a, b] = doubles(x.get).map((two, i) => f32x4.demoted(f64x2.add(two, changes[i]!)));
          return [x.set(v128.load(to.get, 16 * half)), v128.store(to.get, joined(a!, b!), 16 * half)];
        }),
        from.set(i32.add(from.get, i32.of(codesOf[coded].bytesOfEight))),
      ),
    ],
  );

/** To `to` four floats that are zero where all floats are finite. */
const finite = kernel(
  'finite',
  { at: 'i32', size: 'i32', to: 'i32' },
  { end: 'i32', x: 'v128', y: 'v128', s: 'v128', t: 'v128' },
  ({ at, size, to, end, x, y, s, t }) => [
    through(
      at,
      end,
      size,
      32,
      x.set(v128.load(at.get)),
      y.set(v128.load(at.get, 16)),
      s.set(f32x4.add(s.get, f32x4.sub(x.get, x.get))),
      t.set(f32x4.add(t.get, f32x4.sub(y.get, y.get))),
    ),
    v128.store(to.get, f32x4.add(s.get, t.get)),
  ],
);

/** Doubles at `to`: floats at `now` less those at `old`, of which `size` tells the bytes. */
const subtract = kernel(
  'subtract',
  { now: 'i32', size: 'i32', old: 'i32', to: 'i32' },
  { end: 'i32', x: 'v128', y: 'v128' },
  ({ now, size, old, to, end, x, y }) => [
    through(
      now,
      end,
      size,
      16,
      x.set(v128.load(now.get)),
      y.set(v128.load(old.get)),
      ...doubles(x.get).map((ended, i) => v128.store(to.get, f64x2.sub(ended, doubles(y.get)[i]!), 16 * i)),
      old.set(i32.add(old.get, i32.of(16))),
      to.set(i32.add(to.get, i32.of(32))),
    ),
  ],
);

/** The outer step (`outer.ts`) of changes at `at` with buffers of floats at `v`. */
const stepping = (name: string, stepOf: (change: Code, v: Code, rate: Code, momentum: Code) => Code) =>
  kernel(
    name,
    { at: 'i32', size: 'i32', v: 'i32', rate: 'f64', momentum: 'f64' },
    { end: 'i32', rates: 'v128', moments: 'v128', x: 'v128', a: 'v128', b: 'v128', c: 'v128', d: 'v128' },
    ({ at, size, v, rate, momentum, end, rates, moments, x, a, b, c, d }) => [
      rates.set(f64x2.all(rate.get)),
      moments.set(f64x2.all(momentum.get)),
      through(
        at,
        end,
        size,
        32,
        x.set(v128.load(v.get)),
        a.set(v128.load(at.get)),
        b.set(v128.load(at.get, 16)),
        ...[c, d].map((after, i) =>
          after.set(f32x4.demoted(f64x2.sub(f64x2.mul(moments.get, doubles(x.get)[i]!), (i === 0 ? a : b).get))),
        ),
        v128.store(v.get, joined(c.get, d.get)),
        v128.store(at.get, stepOf(a.get, f64x2.promoted(c.get), rates.get, moments.get)),
        v128.store(at.get, stepOf(b.get, f64x2.promoted(d.get), rates.get, moments.get), 16),
        v.set(i32.add(v.get, i32.of(16))),
      ),
    ],
  );

const stepNesterov = stepping('stepNesterov', (change, v, rate, momentum) =>
  f64x2.mul(rate, f64x2.sub(change, f64x2.mul(momentum, v))),
);
/** Of the rate less than zero. */
const stepMomentum = stepping('stepMomentum', (_, v, rate) => f64x2.mul(rate, v));

export const kernels = [
  ...[largest, codeInt8, codeInt4, finite, subtract, stepNesterov, stepMomentum],
  ...[weighing('weighInt8', 'int8', false), weighing('weighInt4', 'int4', false)],
  ...[weighing('addInt8', 'int8', true), weighing('addInt4', 'int4', true)],
  ...[applying('applyInt8', 'int8'), applying('applyInt4', 'int4')],
];

type Weigh = (from: number, to: number, size: number, scale: number, weight: number) => void;
type Code8 = (at: number, size: number, to: number, place: number, key: number, scale: number) => void;
type Step = (at: number, size: number, v: number, rate: number, momentum: number) => void;
type Apply = (from: number, to: number, size: number, scale: number) => void;

/** The kernels as they are called: places and sizes in bytes. */
export interface RoundKernels {
  readonly largest: (at: number, size: number, to: number) => void;
  readonly finite: (at: number, size: number, to: number) => void;
  readonly subtract: (now: number, size: number, old: number, to: number) => void;
  readonly codeInt8: Code8;
  readonly codeInt4: Code8;
  readonly weighInt8: Weigh;
  readonly weighInt4: Weigh;
  readonly addInt8: Weigh;
  readonly addInt4: Weigh;
  readonly applyInt8: Apply;
  readonly applyInt4: Apply;
  readonly stepNesterov: Step;
  readonly stepMomentum: Step;
}
