import type { Box, Pixels } from '../example/pixels.ts';
import { type Simd, simd } from './simd/memory.ts';

interface Sample {
  /** The two neighbours, or -1 outside of the image. */
  readonly lower: Int32Array;
  readonly upper: Int32Array;
  readonly weight: Float32Array;
}

const white = 255;

/**
 * Resizes to (size, size, 3) as big_vision does: `tf.image.resize` with bilinear kernel, half-pixel centres and no
 * antialiasing, then clipped and truncated to uint8 (big_vision pp/ops_image.py). Every step is rounded to float32
 * as TensorFlow's kernel rounds it: truncation makes the last bit visible. With `box` that part of the image is
 * what is resized. Writes to `out` at `at`.
 */
export function resizeBilinear(image: Pixels, size: number, out: Uint8Array, at = 0, box?: Box): void {
  const { width, height, data } = image;
  const columns = samples(width, size, box?.x ?? 0, box?.width ?? width);
  const rows = samples(height, size, box?.y ?? 0, box?.height ?? height);
  const vectors = simd();
  if (vectors !== null && resizeByVectors(vectors, image, size, columns, rows, out, at)) return;
  const round = Math.fround;
  let to = at;
  for (let y = 0; y < size; y++) {
    const top = rows.lower[y]! * width;
    const bottom = rows.upper[y]! * width;
    const yWeight = rows.weight[y]!;
    for (let x = 0; x < size; x++) {
      if (top < 0 || columns.lower[x]! < 0) {
        out[to] = out[to + 1] = out[to + 2] = white;
        to += 3;
        continue;
      }
      const xWeight = columns.weight[x]!;
      let topLeft = (top + columns.lower[x]!) * 3;
      let topRight = (top + columns.upper[x]!) * 3;
      let bottomLeft = (bottom + columns.lower[x]!) * 3;
      let bottomRight = (bottom + columns.upper[x]!) * 3;
      for (let channel = 0; channel < 3; channel++) {
        const a = data[topLeft++]!;
        const b = data[bottomLeft++]!;
        const upper = round(a + round((data[topRight++]! - a) * xWeight));
        const lower = round(b + round((data[bottomRight++]! - b) * xWeight));
        // A mean of uint8 stays within uint8; storing it truncates.
        out[to++] = round(upper + round(round(lower - upper) * yWeight));
      }
    }
  }
}

/** As the plain loop, by vectors; false where there is no room, or something lies outside of the image. */
function resizeByVectors(
  vectors: Simd,
  { width, data }: Pixels,
  size: number,
  columns: Sample,
  rows: Sample,
  out: Uint8Array,
  at: number,
): boolean {
  if (columns.lower.includes(-1) || rows.lower.includes(-1)) return false;
  const line = width * 3;
  const places = vectors.places(12 * size, line, line, size * size * 3);
  if (places === null) return false;
  const [table, upper, lower, done] = places;
  const neighbours = vectors.ints(table, 3 * size);
  const shares = vectors.floats(table, 3 * size);
  for (let x = 0; x < size; x++) {
    neighbours[3 * x] = columns.lower[x]! * 3;
    neighbours[3 * x + 1] = columns.upper[x]! * 3;
    shares[3 * x + 2] = columns.weight[x]!;
  }
  const [above, below] = [vectors.bytes(upper, line), vectors.bytes(lower, line)];
  for (let y = 0; y < size; y++) {
    above.set(data.subarray(rows.lower[y]! * line, (rows.lower[y]! + 1) * line));
    below.set(data.subarray(rows.upper[y]! * line, (rows.upper[y]! + 1) * line));
    vectors.run.interpolate(upper, lower, done + y * size * 3, 12 * size, table, rows.weight[y]!);
  }
  out.set(vectors.bytes(done, size * size * 3), at);
  return true;
}

/** Where the `count` pixels of a side fall in an image of `size`, `from` and `length` being the side of the box. */
function samples(size: number, count: number, from: number, length: number): Sample {
  const scale = Math.fround(length / count);
  const lower = new Int32Array(count);
  const upper = new Int32Array(count);
  const weight = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const inBox = Math.fround(Math.fround(Math.fround(i + 0.5) * scale) - 0.5);
    const place = Math.fround(inBox + from);
    const floor = Math.floor(place);
    const outside = place < -0.5 || place > size - 0.5;
    lower[i] = outside ? -1 : Math.max(floor, 0);
    upper[i] = outside ? -1 : Math.min(Math.ceil(place), size - 1);
    weight[i] = place - floor;
  }
  return { lower, upper, weight };
}
