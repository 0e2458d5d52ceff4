import type { Pixels } from '../example/pixels.ts';

/** Of one picture; memory for a larger one is let go. And how many pictures are in the making at once. */
const keptBytes = 4 * 2 ** 20;
const keptRooms = 16;

/**
 * Memory for decoded pictures that is used again: new memory for each of them costs as much as half of the decoding, and
 * sends a collector over the whole heap every hundred pictures.
 */
export class PixelRooms {
  readonly #free: ArrayBuffer[] = [];
  readonly #lent = new WeakSet<ArrayBufferLike>();

  /** What was in it before still is. */
  readonly take = (bytes: number): Uint8Array => {
    if (bytes > keptBytes) return new Uint8Array(bytes);
    const fits = this.#free.findIndex(({ byteLength }) => byteLength >= bytes);
    const [buffer = new ArrayBuffer(bytes)] = fits < 0 ? [] : this.#free.splice(fits, 1);
    this.#lent.add(buffer);
    return new Uint8Array(buffer, 0, bytes);
  };

  /** Nobody may look at these pixels any more. Those that have memory of their own are left alone. */
  give({ data: { buffer } }: Pixels): void {
    if (!this.#lent.delete(buffer)) return;
    this.#free.push(buffer as ArrayBuffer);
    // The smallest of them goes first, so that pictures that grow find room again.
    if (this.#free.length <= keptRooms) return;
    this.#free.sort((a, b) => b.byteLength - a.byteLength);
    this.#free.pop();
  }
}
