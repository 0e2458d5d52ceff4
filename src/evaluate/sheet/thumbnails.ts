import sharp from 'sharp';
import type { Pixels } from '../../data/example/pixels.ts';
import type { Sheet } from './sheet.ts';

type Picture = Sheet['pictures'][string];

const side = 112;
/** A sheet has up to some 200 pictures. */
const mostBytes = 7000;

/** A picture of at most 112 pixels a side as WebP; one that is all noise is kept coarser. */
export async function thumbnail({ width, height, data }: Pixels): Promise<Picture> {
  const small = sharp(data, { raw: { width, height, channels: 3 }, limitInputPixels: false }).resize(side, side, {
    fit: 'inside',
    withoutEnlargement: true,
  });
  const { data: raw, info } = await small.raw().toBuffer({ resolveWithObject: true });
  const size = { width: info.width, height: info.height };
  const encoded = (quality: number) =>
    sharp(raw, { raw: { ...size, channels: 3 } })
      .webp({ quality })
      .toBuffer();
  let webp = await encoded(72);
  if (webp.length > mostBytes) webp = await encoded(20);
  return { ...size, webp: webp.toString('base64') };
}

/** (h, w, channels) bytes as PNG. */
export async function mapPng(data: Uint8Array, height: number, width: number, channels: 1 | 3): Promise<string> {
  const png = await sharp(data, { raw: { width, height, channels } }).png({ compressionLevel: 9 }).toBuffer();
  return png.toString('base64');
}
