/** Bytes in the unit that leaves at least one digit before the point: 12.3 kB, 4.0 MB, 512 bytes. */
export function size(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  // What would be written as 1000.0 kB is a megabyte.
  if (bytes >= 999_950) return `${(bytes / 1e6).toFixed(1)} MB`;
  return bytes >= 1000 ? `${(bytes / 1000).toFixed(1)} kB` : `${Math.round(bytes)} bytes`;
}
