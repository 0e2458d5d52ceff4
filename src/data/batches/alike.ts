import { isDeepStrictEqual } from 'node:util';
import type { Pixels } from '../example/pixels.ts';
import type { ExampleMeta } from '../example/types.ts';

/** What nothing tells the examples of a batch apart by. */
export interface Alike {
  /** Each shows the same picture, whatever is seen of it, or the same one colour. */
  readonly pictures: boolean;
  /** Each has the same captions, or the same tokens this time. */
  readonly texts: boolean;
}

/**
 * Finds out whether all examples of a batch are alike, as they are added and in any order. Examples that differ, as
 * they do in an ordinary batch, cost nothing: bytes are compared up to the first that is another, and only with the
 * first example.
 */
export class AlikeSoFar {
  #pixels: Pixels | null = null;
  #captions: ExampleMeta['captions'] | null = null;
  #firstRow: Int32Array | null = null;
  #pictures = true;
  #texts = true;
  #tokens = true;

  add(pixels: Pixels, { captions }: ExampleMeta): void {
    if (this.#pictures) {
      this.#pixels ??= pixels;
      this.#pictures = samePicture(this.#pixels, pixels);
    }
    if (this.#texts) {
      this.#captions ??= captions;
      this.#texts = isDeepStrictEqual(this.#captions, captions);
    }
  }

  /**
   * `tokens` (count, L): what the texts of the next examples came to. Null when the pictures differ up to here and so do
   * the texts.
   */
  with(tokens: Int32Array, count: number): Alike | null {
    const size = tokens.length / count;
    this.#firstRow ??= tokens.slice(0, size);
    const row = this.#firstRow;
    this.#tokens &&= tokens.every((id, i) => id === row[i % size]);
    const texts = this.#texts || this.#tokens;
    return this.#pictures || texts ? { pictures: this.#pictures, texts } : null;
  }
}

function samePicture(a: Pixels, b: Pixels): boolean {
  if (a === b || (a.width === b.width && equal(a.data, b.data))) return true;
  return isOneColour(a) && isOneColour(b) && equal(a.data.subarray(0, 3), b.data.subarray(0, 3));
}

/** Whether every pixel equals the one before it. */
const isOneColour = ({ data }: Pixels) => equal(data.subarray(3), data.subarray(0, -3));

const equal = (a: Uint8Array, b: Uint8Array) => a.length === b.length && Buffer.compare(a, b) === 0;
