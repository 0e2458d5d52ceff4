import type { Box, Pixels } from '../example/pixels.ts';

const white = 255;

/** The image itself where it holds the box; else the image laid on white that reaches as far as the box, in whole pixels. */
export function withinImage(image: Pixels, box: Box): { readonly image: Pixels; readonly box: Box } {
  const { x, y, width, height } = box;
  if (x >= 0 && y >= 0 && x + width <= image.width && y + height <= image.height) return { image, box };
  const [left, right] = span(x, width, image.width);
  const [top, bottom] = span(y, height, image.height);
  const line = (right - left) * 3;
  const data = new Uint8Array((bottom - top) * line).fill(white);
  const [from, to] = [Math.max(left, 0), Math.min(right, image.width)];
  for (let row = Math.max(top, 0); row < Math.min(bottom, image.height); row++)
    if (from < to)
      data.set(
        image.data.subarray((row * image.width + from) * 3, (row * image.width + to) * 3),
        (row - top) * line + (from - left) * 3,
      );
  return {
    image: { width: right - left, height: bottom - top, data },
    box: { x: x - left, y: y - top, width, height },
  };
}

/** First and last pixel, of image and box together. */
function span(from: number, length: number, size: number): readonly [number, number] {
  return [Math.min(0, Math.floor(from)), Math.max(size, Math.ceil(from + length))];
}
