import type { Pixels } from '../example/pixels.ts';
import type { PixelBox } from './random-crop.ts';
import { resizeAntialiased } from './resize-antialiased.ts';

/** An image as a row of patches, padded. */
export interface NaflexImage {
  /** (L, p p 3) bytes: patches row by row, each in the order row, column, channel; padding is 0. */
  readonly patches: Uint8Array;
  /** (L) 1 for a patch, 0 for padding. */
  readonly mask: Float32Array;
  /** (h, w) in patches. */
  readonly spatialShape: readonly [number, number];
}

// big_vision's limits of the search, and transformers'.
const precision = 1e-5;
const largestScale = 100;

/**
 * The largest shape in patches, (h, w), that keeps the aspect of an image of so many pixels, each side rounded up
 * to whole patches, with at most `length` patches: the bisection of transformers
 * `get_image_size_for_max_num_patches`, in double precision like it. (big_vision `ops_naflex.py` bisects in float32,
 * which on rare images gives a patch more or less.)
 */
export function naflexShape(height: number, width: number, patch: number, length: number): [number, number] {
  const at = (scale: number): [number, number] => [
    Math.max(1, Math.ceil((height * scale) / patch)),
    Math.max(1, Math.ceil((width * scale) / patch)),
  ];
  let [least, most] = [precision / 10, largestScale];
  while (most - least >= precision) {
    const scale = (least + most) / 2;
    const [rows, columns] = at(scale);
    if (rows * columns <= length) least = scale;
    else most = scale;
  }
  return at(least);
}

/** An image, or a part of it, as transformers' Siglip2ImageProcessor (Pillow) sees it, before pixels are scaled to [-1, 1]. */
export function naflexPatches(image: Pixels, patch: number, length: number, box?: PixelBox): NaflexImage {
  const seen = box ?? image;
  const [rows, columns] = naflexShape(seen.height, seen.width, patch, length);
  const [width, height] = [columns * patch, rows * patch];
  const data = new Uint8Array(height * width * 3);
  resizeAntialiased(image, width, height, data, 0, 'bilinear', box);
  return inPatches({ width, height, data }, patch, length);
}

/** An image whose sides are whole patches, at most `length` of them. */
export function inPatches({ width, height, data: resized }: Pixels, patch: number, length: number): NaflexImage {
  const [rows, columns] = [height / patch, width / patch];
  const patches = new Uint8Array(length * patch * patch * 3);
  const line = patch * 3;
  let to = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let y = row * patch; y < (row + 1) * patch; y++, to += line) {
        const from = (y * width + column * patch) * 3;
        patches.set(resized.subarray(from, from + line), to);
      }
    }
  }
  return { patches, mask: new Float32Array(length).fill(1, 0, rows * columns), spatialShape: [rows, columns] };
}
