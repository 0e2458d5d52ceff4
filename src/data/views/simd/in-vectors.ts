import { type Simd, simd } from './memory.ts';

/** Four pixels, as kernels of colour take them. */
const step = 12;

/**
 * Has pixels changed where vectors lie, `size` bytes from `at` on, and zeros behind them; `beside` has room for one vector.
 * False where there are none, or no room.
 */
export function inVectors(
  pixels: Uint8Array,
  change: (vectors: Simd, at: number, size: number, beside: number) => void,
): boolean {
  const vectors = simd();
  const places = pixels.length === 0 ? null : vectors?.places(16, pixels.length + step);
  if (!vectors || !places) return false;
  const [beside, at] = places;
  const here = vectors.bytes(at, pixels.length + step);
  here.set(pixels);
  here.fill(0, pixels.length);
  change(vectors, at, pixels.length, beside);
  pixels.set(here.subarray(0, pixels.length));
  return true;
}
