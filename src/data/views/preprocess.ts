import type { Resize } from '../../recipe/schema.ts';
import type { Box, Pixels } from '../example/pixels.ts';
import { resizeBilinear } from './resize.ts';
import { resizeAntialiased } from './resize-antialiased.ts';
import { shownPart } from './shown-part.ts';

/**
 * Writes an image, or what `box` shows of it, to `out` at `at` as (size, size, 3) bytes, its aspect not kept. The two ways
 * differ when an image shrinks. big_vision: bilinear without antialiasing, what the published models were trained and
 * evaluated with. antialias: what users of transformers' image processors get, Pillow's bytes, of a box in whole pixels.
 */
export function resizeSquare(
  image: Pixels,
  size: number,
  resize: Resize,
  out: Uint8Array,
  at = 0,
  box: Box = { x: 0, y: 0, width: image.width, height: image.height },
): void {
  if (resize === 'big_vision') resizeBilinear(image, size, out, at, box);
  else resizeAntialiased(shownPart(image, box), size, size, out, at);
}

/** A whole image as (size, size, 3) bytes. */
export function squarePixels(image: Pixels, size: number, resize: Resize): Uint8Array {
  const out = new Uint8Array(size * size * 3);
  resizeSquare(image, size, resize, out);
  return out;
}

/** What recipes without the field have: those of before it. */
export const resizeOf = ({ resize = 'big_vision' }: { readonly resize?: Resize | undefined }): Resize => resize;
