import sharp, { type OutputInfo, type Sharp } from 'sharp';

/** A value of every pixel, by rows. */
export interface PixelValues<T> {
  readonly width: number;
  readonly height: number;
  readonly values: T;
}

export interface PixelFault {
  readonly fault: string;
}

/** 200 MB when decoded: what is larger is no mask. */
const mostPixels = 8192 * 8192;

/** How the numbers of a mask become classes. */
export interface MaskRules {
  /** ADE20k: 0 is no class, and 1 the first one. */
  readonly zero?: 'class' | 'none';
  /** That of the picture; a mask of another size is a fault. */
  readonly size?: { readonly width: number; readonly height: number };
}

/** Of pixels that count in no class. */
export const ignored = 255;

/** The classes of a mask: the places in the palette of a PNG (VOC), or grey values of it (ADE20k). */
export async function readMask(
  bytes: Buffer,
  { zero = 'class', size }: MaskRules = {},
): Promise<PixelValues<Uint8Array> | PixelFault> {
  const head = pngHead(bytes);
  if ('fault' in head) return head;
  const { width, height, depth, color, palette } = head;
  if (size && (size.width !== width || size.height !== height))
    return { fault: `the mask has ${width} x ${height} pixels, and its picture ${size.width} x ${size.height}` };
  if (depth > 8) return { fault: `the mask has ${depth} bits a pixel; 8 are read` };
  if (color !== 3 && color !== 0)
    return { fault: 'the mask is no PNG with a palette or of grey values: colours say no class' };
  if (color === 3 && !palette) return { fault: 'the mask has no palette' };
  const decoded = await decode(bytes, (image) => image.raw());
  if ('fault' in decoded) return decoded;
  const { data, info } = decoded;
  const values = new Uint8Array(width * height);
  if (palette) {
    const places = new Map(palette.map((rgb, i) => [rgb, i] as const).reverse());
    if (places.size < palette.length) {
      const used = usesTwice(data, info.channels, palette);
      if (used) return { fault: 'the palette of the mask has a colour twice that is used: it says no class' };
    }
    for (let i = 0; i < values.length; i++) {
      const place = places.get(rgbAt(data, i * info.channels));
      if (place === undefined) return { fault: 'the mask has a colour that is not in its palette' };
      values[i] = place;
    }
  } else {
    // Grey values of 1, 2 or 4 bits come spread over 0 to 255.
    const step = depth < 8 ? 255 / (2 ** depth - 1) : 1;
    for (let i = 0; i < values.length; i++) values[i] = Math.round(data[i * info.channels]! / step);
  }
  if (zero === 'none')
    for (let i = 0; i < values.length; i++)
      values[i] = values[i] === 0 || values[i] === ignored ? ignored : values[i]! - 1;
  return { width, height, values };
}

const rgbAt = (data: Buffer, at: number) => data[at]! * 65_536 + data[at + 1]! * 256 + data[at + 2]!;

function usesTwice(data: Buffer, channels: number, palette: readonly number[]): boolean {
  const twice = new Set(palette.filter((rgb, i) => palette.indexOf(rgb) !== i));
  for (let at = 0; at < data.length; at += channels) if (twice.has(rgbAt(data, at))) return true;
  return false;
}

/** NYU's pixels that Eigen's evaluation looks at (arXiv 1406.2283), of pictures of this size. */
export const eigenCrop = {
  width: 640,
  height: 480,
  holds: (x: number, y: number): boolean => y >= 45 && y < 471 && x >= 41 && x < 601,
} as const;

/** How depth is stored. */
export interface DepthRules {
  /** Steps a metre: 1000 in NYU's PNGs as BTS, DINOv2 and DINOv3 read them. */
  readonly perMetre?: number;
  /** Only the pixels that Eigen's evaluation looks at, of 480 x 640; others become 0. */
  readonly crop?: 'eigen';
}

/** Metres of every pixel of a PNG with 16 bits of grey; 0 is not known. */
export async function readDepth(
  bytes: Buffer,
  { perMetre = 1000, crop }: DepthRules = {},
): Promise<PixelValues<Float32Array> | PixelFault> {
  const head = pngHead(bytes);
  if ('fault' in head) return head;
  const { width, height, depth, color } = head;
  if (depth !== 16 || color !== 0)
    return { fault: `depth has to be a PNG with 16 bits of grey, and this one has ${depth} bits of kind ${color}` };
  if (crop && (width !== eigenCrop.width || height !== eigenCrop.height))
    return { fault: `Eigen's crop is of 640 x 480 pixels, and this depth has ${width} x ${height}` };
  const decoded = await decode(bytes, (image) => image.toColourspace('grey16').raw({ depth: 'ushort' }));
  if ('fault' in decoded) return decoded;
  const { data, info } = decoded;
  const values = new Float32Array(width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const isOutside = crop && !eigenCrop.holds(x, y);
      const at = y * width + x;
      values[at] = isOutside ? 0 : data.readUInt16LE(2 * at * info.channels) / perMetre;
    }
  return { width, height, values };
}

/** Directions of a PNG of 8 bits of red, green and blue, as they lie there: (height, width, 3), x = 2 v / 255 - 1; 0 0 0 is not known. */
export async function readNormals(bytes: Buffer): Promise<PixelValues<Uint8Array> | PixelFault> {
  const head = pngHead(bytes);
  if ('fault' in head) return head;
  const { width, height, depth, color } = head;
  if (depth !== 8 || color !== 2)
    return {
      fault: `normals have to be a PNG with 8 bits of red, green and blue, and this one has ${depth} bits of kind ${color}`,
    };
  // A colour that is marked as clear would become a fourth number of every pixel.
  const decoded = await decode(bytes, (image) => image.removeAlpha().raw());
  if ('fault' in decoded) return decoded;
  const { data } = decoded;
  return { width, height, values: new Uint8Array(data.buffer, data.byteOffset, data.length) };
}

interface Decoded {
  readonly data: Buffer;
  readonly info: OutputInfo;
}

async function decode(bytes: Buffer, how: (image: Sharp) => Sharp): Promise<Decoded | PixelFault> {
  try {
    // A colour profile would turn the colours of the palette into others.
    const image = sharp(bytes, { failOn: 'error', limitInputPixels: mostPixels, ignoreIcc: true });
    return await how(image).toBuffer({ resolveWithObject: true });
  } catch {
    return { fault: 'the PNG breaks off or is damaged' };
  }
}

interface PngHead {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly color: number;
  /** As numbers, red first. */
  readonly palette: readonly number[] | null;
}

/** Of a PNG its size, kind of colour and palette, which decoders take away. */
function pngHead(bytes: Buffer): PngHead | PixelFault {
  if (bytes.toString('latin1', 0, 8) !== '\x89PNG\r\n\x1a\n') return { fault: 'it is no PNG' };
  if (bytes.length < 33) return { fault: 'the PNG breaks off or is damaged' };
  const found = { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20), depth: bytes[24]!, color: bytes[25]! };
  if (found.width * found.height > mostPixels)
    return { fault: `the PNG has ${found.width} x ${found.height} pixels, more than ${mostPixels}` };
  let palette: number[] | null = null;
  for (let at = 8; at + 8 <= bytes.length; ) {
    const [length, kind] = [bytes.readUInt32BE(at), bytes.toString('latin1', at + 4, at + 8)];
    if (kind === 'IDAT' || kind === 'IEND') break;
    if (kind === 'PLTE' && at + 8 + length <= bytes.length && length <= 768)
      palette = Array.from({ length: Math.floor(length / 3) }, (_, i) => rgbAt(bytes, at + 8 + 3 * i));
    at += 12 + length;
  }
  return { ...found, palette: found.color === 3 ? palette : null };
}
