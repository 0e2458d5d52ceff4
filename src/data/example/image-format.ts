/** By the first bytes: a file name proves nothing, and other decoders (SVG, PDF ...) are not for data of strangers. */
export function imageFormat(bytes: Uint8Array): string | null {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 256)).toString('latin1');
  if (start.startsWith('\x89PNG\r\n\x1a\n')) return 'PNG';
  if (start.startsWith('\xff\xd8\xff')) return 'JPEG';
  if (/^RIFF.{4}WEBP/s.test(start)) return 'WebP';
  if (start.startsWith('GIF8')) return 'GIF';
  if (start.startsWith('II*\0') || start.startsWith('MM\0*')) return 'TIFF';
  // BigTIFF, for files above 4 GB and what is written as them.
  if (start.startsWith('II+\0') || start.startsWith('MM\0+')) return 'TIFF';
  return start.slice(4, 8) === 'ftyp' && brandsOf(start).some((brand) => /^avi[fs]$/.test(brand)) ? 'AVIF' : null;
}

/** The brand of a HEIF container and those that it is compatible with: its `ftyp` box is its size, and then fours of bytes. */
function brandsOf(start: string): string[] {
  const size = Buffer.from(start.slice(0, 4), 'latin1').readUInt32BE();
  // Four bytes behind the first brand are its version.
  const brands = start.slice(8, 12) + start.slice(16, Math.min(size, start.length));
  return brands.match(/.{4}/gs) ?? [];
}
