import type { RandomStream } from '../../runtime/random.ts';

/** Whole pixels of an image. */
export interface PixelBox {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

const tries = 10;
const aspects = [Math.log(3 / 4), Math.log(4 / 3)] as const;

/**
 * A part of an image that holds `scale[0]` to `scale[1]` of its area, with an aspect of 3/4 to 4/3, as torchvision
 * `RandomResizedCrop.get_params` draws it; where none fits, the middle of the image at the nearest aspect.
 */
export function randomCrop(
  { width, height }: { readonly width: number; readonly height: number },
  scale: readonly [number, number],
  random: RandomStream,
): PixelBox {
  const within = (low: number, high: number) => low + (high - low) * random.next();
  for (let i = 0; i < tries; i++) {
    const area = width * height * within(...scale);
    const aspect = Math.exp(within(...aspects));
    const [w, h] = [Math.round(Math.sqrt(area * aspect)), Math.round(Math.sqrt(area / aspect))];
    if (w < 1 || h < 1 || w > width || h > height) continue;
    return { top: random.below(height - h + 1), left: random.below(width - w + 1), width: w, height: h };
  }
  const own = width / height;
  const w = own > 4 / 3 ? Math.round((height * 4) / 3) : width;
  const h = own < 3 / 4 ? Math.round((width * 4) / 3) : height;
  const [cropWidth, cropHeight] = [Math.min(width, Math.max(1, w)), Math.min(height, Math.max(1, h))];
  const left = Math.floor((width - cropWidth) / 2);
  return { left, top: Math.floor((height - cropHeight) / 2), width: cropWidth, height: cropHeight };
}
