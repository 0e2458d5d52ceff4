import { type Coded, levels } from './exchange.ts';
import { type PieceMemory, wholeVectors } from './memory.ts';
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

/** The largest magnitude of numbers of a piece; NaN where one is none or infinite. */
export function largestOf(piece: PieceMemory, from: number, count: number): number {
  const whole = wholeVectors(count);
  let [largest, finite] = [0, 0];
  if (whole > 0) {
    piece.run.largest(piece.valueAt(from), 8 * whole, piece.packedAt);
    const [a, b, c, d] = piece.doubles(piece.packedAt, 4);
    largest = Math.max(a!, b!);
    finite = c! + d!;
  }
  for (let i = from + whole; i < from + count; i++) {
    const size = Math.abs(piece.values[i]!);
    if (size > largest) largest = size;
    finite += size - size;
  }
  return finite === 0 ? largest : Number.NaN;
}

const codeBytes = (coded: Coded, count: number) => (coded === 'int8' ? count : (count + 1) >> 1);

/** One block of codes: floor(x / scale + u) with u uniform in [0, 1), so that its mean is x / scale. */
export function packBlock(
  coded: Coded,
  piece: PieceMemory,
  from: number,
  count: number,
  { first, keys: { a, b } }: Packing,
  out: DataView,
  at: number,
): boolean {
  const largest = largestOf(piece, from, count);
  // Twice the largest f32: a scale then is one.
  if (!(largest <= 2 ** 129)) return false;
  const scale = largest === 0 ? 0 : scaleFor(largest, levels[coded]);
  out.setFloat32(at, scale, true);
  const codes = new Uint8Array(out.buffer, out.byteOffset + at + 4, codeBytes(coded, count));
  if (scale === 0) {
    codes.fill(coded === 'int8' ? 0 : 0x88);
    return true;
  }
  const whole = wholeVectors(count);
  if (whole > 0) {
    const code = coded === 'int8' ? piece.run.codeInt8 : piece.run.codeInt4;
    code(piece.valueAt(from), 8 * whole, piece.packedAt, (first + a) | 0, b, scale);
    codes.set(piece.packed(codeBytes(coded, whole)));
  }
  const codeOf = (i: number) => Math.floor(piece.values[from + i]! / scale + uniformAt(first + i, a, b));
  if (coded === 'int8') for (let i = whole; i < count; i++) codes[i] = codeOf(i);
  else
    for (let i = whole; i < count; i += 2) {
      // Codes are stored plus 8, the first of a pair in the low half; the half that is left over says 0 too.
      const high = i + 1 < count ? codeOf(i + 1) + 8 : 8;
      codes[i >> 1] = (codeOf(i) + 8) | (high << 4);
    }
  return true;
}

/** A block of codes as it lies in a file. */
export class PackedBlock {
  readonly count: number;
  readonly scale: number;
  readonly #coded: Coded;
  readonly #codes: Uint8Array;

  constructor(coded: Coded, packed: DataView, at: number, count: number) {
    this.count = count;
    this.scale = packed.getFloat32(at, true);
    this.#coded = coded;
    this.#codes = new Uint8Array(packed.buffer, packed.byteOffset + at + 4, codeBytes(coded, count));
  }

  /** What is said of number `i`. */
  change(i: number): number {
    const code = this.#codes[this.#coded === 'int8' ? i : i >> 1]!;
    if (this.#coded === 'int8') return ((code << 24) >> 24) * this.scale;
    return ((i & 1 ? code >> 4 : code & 15) - 8) * this.scale;
  }

  /** Those of the numbers of a piece from `to` on: `weight` times each, added to what is there or in its place. */
  weigh(weight: number, piece: PieceMemory, to: number, add: boolean): void {
    const whole = this.#lay(piece);
    const { addInt8, addInt4, weighInt8, weighInt4 } = piece.run;
    const run = this.#coded === 'int8' ? (add ? addInt8 : weighInt8) : add ? addInt4 : weighInt4;
    if (whole > 0) run(piece.packedAt, piece.valueAt(to), 8 * whole, this.scale, weight);
    for (let i = whole; i < this.count; i++) {
      const part = weight * this.change(i);
      // Not added to zero: minus zero would be lost.
      piece.values[to + i] = add ? piece.values[to + i]! + part : part;
    }
  }

  /** Adds them to the floats of a piece, from `to` on of what it holds of now. */
  apply(piece: PieceMemory, to: number): void {
    const whole = this.#lay(piece);
    const run = this.#coded === 'int8' ? piece.run.applyInt8 : piece.run.applyInt4;
    if (whole > 0) run(piece.packedAt, piece.nowAt(to), 4 * whole, this.scale);
    for (let i = whole; i < this.count; i++) piece.now[to + i]! += this.change(i);
  }

  /** Lays codes where kernels find them; of how many numbers. */
  #lay(piece: PieceMemory): number {
    const whole = wholeVectors(this.count);
    const bytes = codeBytes(this.#coded, whole);
    if (whole > 0) piece.packed(bytes).set(this.#codes.subarray(0, bytes));
    return whole;
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
