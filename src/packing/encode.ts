import sharp from 'sharp';
import { CorruptExample } from '../data/example/corrupt-example.ts';
import { decodeInTurn } from '../data/example/decode-in-turn.ts';
import { imageFormat } from '../data/example/image-format.ts';
import type { PackSettings } from './settings.ts';

/** Of members, by what `imageFormat` says. */
export const pictureEndings: Readonly<Record<string, string>> = {
  PNG: 'png',
  JPEG: 'jpg',
  WebP: 'webp',
  GIF: 'gif',
  TIFF: 'tif',
  AVIF: 'avif',
};
/** WebP's; other formats could have more, and no model looks at such strips. */
const longestSide = 16_383;

/** A picture as it is written, with the ending of its member. */
export interface Encoded {
  readonly ending: string;
  readonly bytes: Uint8Array;
}

/**
 * A picture at the chosen side and format: pixels as training decodes them, the shorter side shrunk to `side` by Lanczos,
 * smaller ones as they are, no metadata. `original`: its own bytes. Throws `CorruptExample`.
 */
export async function encode(bytes: Uint8Array, { format, side = 256, quality = 80 }: PackSettings): Promise<Encoded> {
  if (format === 'original') return { ending: pictureEndings[imageFormat(bytes) ?? ''] ?? 'jpg', bytes };
  const { width, height, data } = await decodeInTurn(bytes);
  const scale = Math.min(1, side / Math.min(width, height));
  const to = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  if (Math.max(to.width, to.height) > longestSide)
    throw new CorruptExample(
      `the picture is too long: ${to.width} x ${to.height} pixels, at most ${longestSide} a side`,
    );
  const raw = { width, height, channels: 3 } as const;
  const image = sharp(data, { raw, limitInputPixels: false });
  const sized = scale < 1 ? image.resize({ ...to, fit: 'fill', kernel: 'lanczos3' }) : image;
  const coded = format === 'webp' ? sized.webp({ quality }) : format === 'jpg' ? sized.jpeg({ quality }) : sized.png();
  return { ending: format, bytes: await coded.toBuffer() };
}
