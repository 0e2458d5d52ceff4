import type { DataSettings } from '../../recipe/schema.ts';
import type { RandomStream } from '../../runtime/random.ts';
import type { Box } from '../example/pixels.ts';

/**
 * Draws the part of an image that is seen this time: the middle, `scale` sides large, moved by up to `shift` sides
 * each way. The defaults (scale 1, shift 0) give the whole image, to the bit.
 */
export function drawCrop(
  image: { readonly width: number; readonly height: number },
  { scale: [least, most], shift }: DataSettings['augment'],
  random: RandomStream,
): Box {
  // Always three draws, so that the settings change nothing but what they name.
  const side = least + (most - least) * random.next();
  const right = (2 * random.next() - 1) * shift;
  const down = (2 * random.next() - 1) * shift;
  return {
    x: ((1 - side) / 2 + right) * image.width,
    y: ((1 - side) / 2 + down) * image.height,
    width: side * image.width,
    height: side * image.height,
  };
}
