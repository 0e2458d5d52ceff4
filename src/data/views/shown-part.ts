import type { Box, Pixels } from '../example/pixels.ts';

const white = 255;

/** What a box shows of an image, in whole pixels as torchvision's crops have them, at least one: white beyond the edges. */
export function shownPart(image: Pixels, { x, y, width, height }: Box): Pixels {
  const [left, right] = span(x, width);
  const [top, bottom] = span(y, height);
  const size = { width: right - left, height: bottom - top };
  if (left === 0 && top === 0 && size.width === image.width && size.height === image.height) return image;
  const line = size.width * 3;
  const data = new Uint8Array(size.height * line).fill(white);
  const [from, to] = [Math.max(left, 0), Math.min(right, image.width)];
  if (from < to)
    for (let row = Math.max(top, 0); row < Math.min(bottom, image.height); row++) {
      const start = row * image.width;
      data.set(image.data.subarray((start + from) * 3, (start + to) * 3), (row - top) * line + (from - left) * 3);
    }
  return { ...size, data };
}

function span(from: number, length: number): readonly [number, number] {
  const first = Math.round(from);
  return [first, Math.max(first + 1, Math.round(from + length))];
}
