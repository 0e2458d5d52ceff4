/** What a file begins with that is not what its name says, byte for byte. */
const beginnings: readonly (readonly [string, string])[] = [
  ['version https://git-lfs.github.com/', 'a Git LFS pointer: git lfs pull fetches the file itself'],
  ['\x1f\x8b', 'compressed with gzip: unpack it with gunzip'],
  ['\x28\xb5\x2f\xfd', 'compressed with zstd: unpack it with zstd -d'],
  ['\xfd7zXZ\0', 'compressed with xz: unpack it with unxz'],
  ['BZh', 'compressed with bzip2: unpack it with bunzip2'],
  ['PK\x03\x04', 'a zip archive: unpack it'],
];

/** Bytes that `foreignKind` looks at. */
export const kindBytes = 512;

/** What a file is, by its first bytes, when it is no file of data at all but one of those that stand in for them; or null. */
export function foreignKind(bytes: Uint8Array): string | null {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, kindBytes)).toString('latin1');
  const found = beginnings.find(([beginning]) => start.startsWith(beginning));
  if (found) return found[1];
  const text = start.replace(/^\xef\xbb\xbf/, '').trimStart();
  if (/^<(!doctype\s|html\b|head\b)/i.test(text)) return 'an HTML page, perhaps of a login or an error';
  if (/^<\?xml\s/i.test(text) && /<(Error|ListBucketResult)\b/.test(text))
    return "a store's answer in XML: download the file again";
  return null;
}
