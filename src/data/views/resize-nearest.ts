import type { Pixels } from '../example/pixels.ts';

/** Resizes to (height, width, 3) as Pillow does with NEAREST: the pixel under the centre, places added up as it adds them. */
export function resizeNearest(image: Pixels, width: number, height: number): Uint8Array {
  const out = new Uint8Array(width * height * 3);
  const [columns, rows] = [places(image.width, width), places(image.height, height)];
  let to = 0;
  for (const row of rows)
    for (const column of columns) {
      const from = (row * image.width + column) * 3;
      out.set(image.data.subarray(from, from + 3), to);
      to += 3;
    }
  return out;
}

function places(from: number, to: number): number[] {
  const scale = from / to;
  let place = scale * 0.5;
  return Array.from({ length: to }, () => {
    const found = Math.min(from - 1, Math.floor(place));
    place += scale;
    return found;
  });
}
