import type { Dtype } from './dtypes.ts';

/** Types whose numbers are floats that a model may be stored in. */
export type FloatType = Extract<Dtype, 'F32' | 'BF16' | 'F16'>;
export const isFloatType = (dtype: Dtype): dtype is FloatType => dtype === 'F32' || dtype === 'BF16' || dtype === 'F16';

/** Little-endian numbers as F32 bytes: exact, since every bfloat16 and float16 is a float32. */
export function toFloat32(bytes: Uint8Array, dtype: FloatType): Uint8Array {
  if (dtype === 'F32') return bytes;
  const halves = new Uint16Array(bytes.slice().buffer);
  const out = new Uint32Array(halves.length);
  for (const [i, half] of halves.entries()) out[i] = dtype === 'BF16' ? half << 16 : widened(half);
  return new Uint8Array(out.buffer);
}

/** The bits of a float16 as those of the float32 of equal value. */
function widened(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return (sign | 0x7f800000 | (fraction << 13)) >>> 0;
  if (exponent !== 0) return (sign | ((exponent + 112) << 23) | (fraction << 13)) >>> 0;
  if (fraction === 0) return sign >>> 0;
  // Subnormal: shifted until its leading bit is the hidden one.
  const shift = Math.clz32(fraction) - 21;
  return (sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13)) >>> 0;
}

/** F32 bytes as bfloat16, rounded to the nearest, to even when two are as near; what is no number stays none. */
export function toBfloat16(bytes: Uint8Array): Uint8Array {
  const floats = new Uint32Array(bytes.slice().buffer);
  const out = new Uint16Array(floats.length);
  for (const [i, bits] of floats.entries()) {
    const nan = (bits & 0x7fffffff) > 0x7f800000;
    out[i] = nan ? (bits >>> 16) | 0x40 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  }
  return new Uint8Array(out.buffer);
}

/** The largest number that float16 holds. */
export const largestFloat16 = 65_504;

/**
 * F32 bytes as float16, rounded to the nearest, to even when two are as near; what is no number stays none. Null where a
 * finite number is beyond `largestFloat16`.
 */
export function toFloat16(bytes: Uint8Array): Uint8Array | null {
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  const floats = new Uint32Array(buffer, byteOffset, byteLength / 4);
  const out = new Uint16Array(floats.length);
  for (let i = 0; i < floats.length; i++) {
    const bits = floats[i]!;
    const sign = (bits >>> 16) & 0x8000;
    const size = bits & 0x7fffffff;
    if (size >= 0x7f800000) out[i] = sign | 0x7c00 | (size > 0x7f800000 ? 0x200 : 0);
    else if (size >= 0x477ff000) return null;
    else if (size >= 0x38800000) out[i] = sign | ((size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13);
    else if (size < 0x33000000) out[i] = sign;
    else {
      // Subnormal: as many bits are cut as its exponent is below the smallest.
      const cut = 126 - (size >>> 23);
      const fraction = (size & 0x7fffff) | 0x800000;
      out[i] = sign | ((fraction + (1 << (cut - 1)) - 1 + ((fraction >>> cut) & 1)) >>> cut);
    }
  }
  return new Uint8Array(out.buffer);
}
