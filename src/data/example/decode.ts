import sharp, { type OutputInfo } from 'sharp';
import { foreignKind } from '../../runtime/file-kind.ts';
import { CorruptExample } from './corrupt-example.ts';
import { imageFormat } from './image-format.ts';
import { jpegSize } from './jpeg-size.ts';
import type { Pixels } from './pixels.ts';
import { decodeTurbo } from './turbo-jpeg.ts';

// Four times an 8K frame; a small file can claim any size.
const largestImage = 128 * 1024 * 1024;
/** Pixels that a thread may be busy with and answer nobody: some 60 ms, several times as long where it is progressive. */
const atOnce = 16 * 2 ** 20;

/** What becomes of transparency: laid on white, as in training, or dropped, as Pillow's `convert('RGB')` does. */
export type Alpha = 'white' | 'dropped';

// failOn 'error': warnings are about metadata more often than about pixels. Neither Pillow nor TensorFlow, which the
// models were made with, looks at colour profiles.
const input = { limitInputPixels: largestImage, failOn: 'error', ignoreIcc: true } as const;

/**
 * Decodes an image to 8 bits of red, green and blue as Pillow and TensorFlow do: colour profiles and EXIF rotation are
 * left alone, CMYK turns by the plain formula, and the first frame of an animation is taken. Throws `CorruptExample`.
 *
 * @param room gives the memory of an ordinary JPEG, instead of new one
 */
export async function decodeImage(
  bytes: Uint8Array,
  alpha: Alpha = 'white',
  room?: (bytes: number) => Uint8Array,
): Promise<Pixels> {
  const format = imageFormat(bytes);
  const size = format === 'JPEG' ? jpegSize(bytes) : null;
  const quick = size && size.width * size.height <= atOnce ? decodeTurbo(bytes, size, room) : null;
  if (quick) return quick;
  if (format === null) {
    const kind = foreignKind(bytes);
    throw new CorruptExample(`not a PNG, JPEG, WebP, GIF, AVIF or TIFF image${kind === null ? '' : `: ${kind}`}`);
  }
  try {
    const mayBeInks = format === 'TIFF' || (format === 'JPEG' && (size?.components ?? 4) === 4);
    if (mayBeInks && (await sharp(bytes, input).metadata()).space === 'cmyk') return await decodeInks(bytes);
    const image = sharp(bytes, input);
    const { data, info } = await (alpha === 'white' ? image.flatten({ background: '#fff' }) : image.removeAlpha())
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return checked(data, info, 3);
  } catch (error) {
    if (error instanceof CorruptExample) throw error;
    const reason = (error as Error).message.split('\n')[0]!.slice(0, 160);
    throw new CorruptExample(`the ${format} image can't be decoded: ${reason}`);
  }
}

/** Red is what cyan and black leave of white: Pillow's conversion, to the byte. */
async function decodeInks(bytes: Uint8Array): Promise<Pixels> {
  const { data: inks, info } = await sharp(bytes, input)
    .pipelineColourspace('cmyk')
    .toColourspace('cmyk')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const { width, height } = checked(inks, info, 4);
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from += 4) {
    const light = 255 - inks[from + 3]!;
    for (let ink = 0; ink < 3; ink++) {
      const product = inks[from + ink]! * light + 128;
      data[to++] = Math.max(0, light - (((product >> 8) + product) >> 8));
    }
  }
  return { width, height, data };
}

function checked(data: Uint8Array, { width, height, channels }: OutputInfo, wanted: number): Pixels {
  if (channels === wanted && data.length === width * height * wanted) return { width, height, data };
  throw new CorruptExample(`decodes to ${channels} channels, not ${wanted}`);
}
