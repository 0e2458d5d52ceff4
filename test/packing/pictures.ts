import sharp from 'sharp';
import { randomStream } from '../../src/runtime/random.ts';

/** A picture as no other: soft fields of colour of a seed, as of a photograph out of focus. */
export function scene(seed: number, width = 96, height = 64): Promise<Buffer> {
  const stream = randomStream(seed, 'packing');
  const small = Buffer.from(Array.from({ length: 12 * 8 * 3 }, () => stream.below(256)));
  return sharp(small, { raw: { width: 12, height: 8, channels: 3 } })
    .resize(width, height, { fit: 'fill', kernel: 'cubic' })
    .png()
    .toBuffer();
}
