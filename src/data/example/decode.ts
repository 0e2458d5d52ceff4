import sharp from 'sharp';
import { foreignKind } from '../../runtime/file-kind.ts';
import { CorruptExample } from './corrupt-example.ts';
import { imageFormat } from './image-format.ts';
import type { Pixels } from './pixels.ts';

// Four times an 8K frame; a small file can claim any size.
const largestImage = 128 * 1024 * 1024;

/**
 * Decodes an image to 8-bit sRGB with three channels; alpha is laid on white, the first frame of an animation is
 * taken, EXIF rotation is left alone (as TensorFlow's decoder, which the recipe was made with, does). Throws
 * `CorruptExample`.
 */
export async function decodeImage(bytes: Uint8Array): Promise<Pixels> {
  const format = imageFormat(bytes);
  if (format === null) {
    const kind = foreignKind(bytes);
    throw new CorruptExample(`not a PNG, JPEG, WebP, GIF, AVIF or TIFF image${kind === null ? '' : `: ${kind}`}`);
  }
  try {
    // failOn 'error': warnings are about metadata more often than about pixels.
    const { data, info } = await sharp(bytes, { limitInputPixels: largestImage, failOn: 'error' })
      .flatten({ background: '#fff' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3 || data.length !== info.width * info.height * 3) {
      throw new CorruptExample(`decodes to ${info.channels} channels, not 3`);
    }
    return { width: info.width, height: info.height, data };
  } catch (error) {
    if (error instanceof CorruptExample) throw error;
    const reason = (error as Error).message.split('\n')[0]!.slice(0, 160);
    throw new CorruptExample(`the ${format} image can't be decoded: ${reason}`);
  }
}
