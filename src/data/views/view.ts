import type { RandomStream } from '../../runtime/random.ts';
import type { Pixels } from '../example/pixels.ts';
import { gaussianBlur } from './blur.ts';
import { colorJitter, greyscale } from './color.ts';
import { randomCrop } from './random-crop.ts';
import { type Kernel, resizeAntialiased } from './resize-antialiased.ts';
import { simd } from './simd/memory.ts';

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

/** Runs `draw`, which draws several views of an image. */
export function atHand(image: Pixels, draw: () => void): void {
  const vectors = simd();
  if (vectors === null) draw();
  else vectors.holding(image.data, draw);
}

/** A view of an image as (size, size, 3) bytes, written to `out`: crop, flip, colour, grey, blur, in DINO's order. */
export function drawView(
  image: Pixels,
  size: number,
  { scale, blur }: ViewSettings,
  random: RandomStream,
  out: Uint8Array,
): void {
  const crop = randomCrop(image, scale, random);
  resizeAntialiased(image, size, size, out, 0, kernel, crop, random.next() < 0.5);
  if (random.next() < 0.8) colorJitter(out, jitter, random);
  if (random.next() < 0.2) greyscale(out);
  if (random.next() < blur) gaussianBlur(out, size, size, 0.1 + 1.9 * random.next());
}
