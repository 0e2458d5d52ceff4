import type { PixelKind } from '../index/types.ts';
import { type PixelFault, type PixelValues, readDepth, readMask, readNormals } from './pixel-values.ts';

/**
 * Truth of every pixel as it is kept: classes (255 counts nowhere), millimetres (0 is not known), or red, green and blue of a
 * direction, three to a pixel.
 */
export type PixelTruth = PixelValues<Uint8Array | Uint16Array>;

/** Such a member is read whole, and decodes to at most three bytes for each of so many pixels: 16 times ADE20k's usual. */
const mostPixels = 4096 * 4096;
export const largestPixelMember = 64 * 1024 * 1024;

/** What a member with a value a pixel says, if it is of the size of its picture; else what is wrong with it. */
export async function readPixelTruth(
  kind: PixelKind,
  bytes: Buffer,
  size: { readonly width: number; readonly height: number },
): Promise<PixelTruth | PixelFault> {
  const found = await decoded(kind, bytes);
  if ('fault' in found) return { fault: `${kind}: ${found.fault}` };
  const { width, height } = found;
  if (width !== size.width || height !== size.height)
    return {
      fault: `${kind}: it has ${width} x ${height} pixels, and its picture ${size.width} x ${size.height}`,
    };
  if (width * height > mostPixels)
    return { fault: `${kind}: it has ${width} x ${height} pixels; at most ${mostPixels} are kept` };
  return found;
}

async function decoded(kind: PixelKind, bytes: Buffer): Promise<PixelTruth | PixelFault> {
  if (kind === 'mask') return readMask(bytes);
  if (kind === 'normals') return readNormals(bytes);
  const found = await readDepth(bytes);
  if ('fault' in found) return found;
  return { ...found, values: Uint16Array.from(found.values, (metres) => Math.round(1000 * metres)) };
}
