/** What is kept from one picture to the next, of each thread and each use. */
const keptBytes = 4 * 2 ** 20;

/**
 * Room for what lies between two passes over a picture: used again and again where it is small, since a loader would else
 * ask for some megabytes for every picture. What was in it before still is. Nobody may hold it over an `await`.
 */
export function scratch<T extends Uint8Array | Int32Array | Float32Array | Float64Array>(
  make: new (buffer: ArrayBuffer, offset: number, length: number) => T,
  bytesEach: number,
): (length: number) => T {
  let kept = new ArrayBuffer(0);
  return (length) => {
    const bytes = length * bytesEach;
    if (bytes > keptBytes) return new make(new ArrayBuffer(bytes), 0, length);
    if (kept.byteLength < bytes) kept = new ArrayBuffer(bytes);
    return new make(kept, 0, length);
  };
}
