import type { RandomStream } from '../../runtime/random.ts';
import type { Pixels } from '../example/pixels.ts';
import { gaussianBlur } from './blur.ts';
import { colorJitter, greyscale } from './color.ts';
import { type PixelBox, randomCrop } from './random-crop.ts';
import { type Kernel, resizeAntialiased } from './resize-antialiased.ts';

/** How a view of an image is made: DINO's augmentations (`DataAugmentationDINO`), as SILC uses them. */
export interface ViewSettings {
  /** Share of the image's area that is seen. */
  readonly scale: readonly [number, number];
  /** How often it is blurred. */
  readonly blur: number;
}

export const globalView: ViewSettings = { scale: [0.4, 1], blur: 1 };
export const localView: ViewSettings = { scale: [0.05, 0.4], blur: 0.5 };

const jitter = { brightness: 0.4, contrast: 0.4, saturation: 0.2, hue: 0.1 };
const kernel: Kernel = 'bicubic';

/** A view of an image as (size, size, 3) bytes, written to `out`: crop, flip, colour, grey, blur, in DINO's order. */
export function drawView(
  image: Pixels,
  size: number,
  { scale, blur }: ViewSettings,
  random: RandomStream,
  out: Uint8Array,
): void {
  resizeAntialiased(cropped(image, randomCrop(image, scale, random)), size, size, out, 0, kernel);
  if (random.next() < 0.5) flip(out, size);
  if (random.next() < 0.8) colorJitter(out, jitter, random);
  if (random.next() < 0.2) greyscale(out);
  if (random.next() < blur) gaussianBlur(out, size, size, 0.1 + 1.9 * random.next());
}

export function cropped({ width: whole, data }: Pixels, { left, top, width, height }: PixelBox): Pixels {
  const part = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row++) {
    const from = ((top + row) * whole + left) * 3;
    part.set(data.subarray(from, from + width * 3), row * width * 3);
  }
  return { width, height, data: part };
}

/** Left and right exchanged, in place. */
function flip(pixels: Uint8Array, size: number): void {
  for (let row = 0; row < size; row++) {
    for (let x = 0; x < size >> 1; x++) {
      const [a, b] = [(row * size + x) * 3, (row * size + size - 1 - x) * 3];
      const left = pixels.slice(a, a + 3);
      pixels.copyWithin(a, b, b + 3);
      pixels.set(left, b);
    }
  }
}
