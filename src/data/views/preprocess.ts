import type { Pixels } from '../example/pixels.ts';
import { resizeBilinear } from './resize.ts';
import { resizeAntialiased } from './resize-antialiased.ts';

/**
 * Whose square a fixed-resolution tower sees; the two differ when an image shrinks. big_vision: bilinear without
 * antialiasing, what the models were trained and evaluated with. transformers: antialiased, what users of its image
 * processors get.
 */
export type Preprocessing = 'big_vision' | 'transformers';

/** An image as (size, size, 3) bytes, its aspect not kept. */
export function squarePixels(image: Pixels, size: number, preprocessing: Preprocessing): Uint8Array {
  const out = new Uint8Array(size * size * 3);
  if (preprocessing === 'big_vision') resizeBilinear(image, size, out);
  else resizeAntialiased(image, size, size, out);
  return out;
}
