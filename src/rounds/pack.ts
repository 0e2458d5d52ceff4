import { type Coded, levels } from './exchange.ts';
import { type RoundingKeys, uniformAt } from './rounding.ts';

/** What a block is packed from and by. */
export interface Packing {
  /** Place of the first number in its whole parameter: rounding is drawn by it. */
  readonly first: number;
  readonly keys: RoundingKeys;
}

/**
 * The packers write one block or piece into `out` from `at` on. They return false where a number is none or infinite, or
 * can't be held; what was written is then of no use.
 */

const single = new Float32Array(1);
const bitsOfSingle = new Uint32Array(single.buffer);

/** The least f32 that, times `most`, is not below `largest` (> 0): no code then goes beyond `most`. */
function scaleFor(largest: number, most: number): number {
  single[0] = largest / most;
  // The product is exact: 24 bits by 7. Steps are few, and lead from 0 to the least denormal.
  while (single[0]! * most < largest) bitsOfSingle[0]!++;
  return single[0]!;
}

function largestOf(values: Float64Array, from: number, count: number): number {
  let largest = 0;
  let finite = 0;
  for (let i = from; i < from + count; i++) {
    const size = Math.abs(values[i]!);
    if (size > largest) largest = size;
    finite += size - size;
  }
  return finite === 0 ? largest : Number.NaN;
}

/** One block of codes: floor(x / scale + u) with u uniform in [0, 1), so that its mean is x / scale. */
export function packBlock(
  coded: Coded,
  values: Float64Array,
  from: number,
  count: number,
  { first, keys: { a, b } }: Packing,
  out: DataView,
  at: number,
): boolean {
  const largest = largestOf(values, from, count);
  // Twice the largest f32: a scale then is one.
  if (!(largest <= 2 ** 129)) return false;
  const scale = largest === 0 ? 0 : scaleFor(largest, levels[coded]);
  out.setFloat32(at, scale, true);
  const codes = new Uint8Array(out.buffer, out.byteOffset + at + 4, coded === 'int8' ? count : (count + 1) >> 1);
  if (scale === 0) codes.fill(coded === 'int8' ? 0 : 0x88);
  else if (coded === 'int8')
    for (let i = 0; i < count; i++) codes[i] = Math.floor(values[from + i]! / scale + uniformAt(first + i, a, b));
  else
    for (let i = 0; i < count; i += 2) {
      // Codes are stored plus 8, the first of a pair in the low half; the half that is left over says 0 too.
      const low = Math.floor(values[from + i]! / scale + uniformAt(first + i, a, b)) + 8;
      const high = i + 1 < count ? Math.floor(values[from + i + 1]! / scale + uniformAt(first + i + 1, a, b)) + 8 : 8;
      codes[i >> 1] = low | (high << 4);
    }
  return true;
}

export function unpackBlock(coded: Coded, packed: DataView, at: number, count: number, out: Float64Array, to: number) {
  const scale = packed.getFloat32(at, true);
  if (coded === 'int8') {
    const codes = new Int8Array(packed.buffer, packed.byteOffset + at + 4, count);
    for (let i = 0; i < count; i++) out[to + i] = codes[i]! * scale;
    return;
  }
  const codes = new Uint8Array(packed.buffer, packed.byteOffset + at + 4, (count + 1) >> 1);
  for (let i = 0; i < count; i++) {
    const pair = codes[i >> 1]!;
    out[to + i] = ((i & 1 ? pair >> 4 : pair & 15) - 8) * scale;
  }
}

/** Numbers as bfloat16, rounded up or down by chance in proportion: unbiased to what f32 holds of them. */
export function packBfloat16(
  values: Float64Array,
  from: number,
  count: number,
  { first, keys: { a, b } }: Packing,
  out: DataView,
  at: number,
): boolean {
  let good = true;
  for (let i = 0; i < count; i++) {
    single[0] = values[from + i]!;
    const bits = bitsOfSingle[0]!;
    // What is added goes to the magnitude, towards zero or away from it.
    const rounded = (bits + Math.floor(uniformAt(first + i, a, b) * 65536)) >>> 16;
    if ((bits & 0x7f800000) === 0x7f800000 || (rounded & 0x7f80) === 0x7f80) good = false;
    out.setUint16(at + 2 * i, rounded, true);
  }
  return good;
}

export function unpackBfloat16(packed: DataView, at: number, count: number, out: Float64Array, to: number): void {
  for (let i = 0; i < count; i++) {
    bitsOfSingle[0] = packed.getUint16(at + 2 * i, true) << 16;
    out[to + i] = single[0]!;
  }
}

/** f32 is carried as it is: values and not differences, which f32 can't hold in general. */
export function packFloat32(values: Float64Array, from: number, count: number, out: DataView, at: number): boolean {
  let finite = 0;
  for (let i = 0; i < count; i++) {
    const value = Math.fround(values[from + i]!);
    finite += value - value;
    out.setFloat32(at + 4 * i, value, true);
  }
  return finite === 0;
}

export function unpackFloat32(packed: DataView, at: number, count: number, out: Float64Array, to: number): void {
  for (let i = 0; i < count; i++) out[to + i] = packed.getFloat32(at + 4 * i, true);
}
