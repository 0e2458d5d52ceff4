import { createHash } from 'node:crypto';
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

/** What all of some rows have in common, as names that rows made elsewhere can be held against; null where they differ. */
export interface SameRows {
  readonly picture: string | null;
  readonly captions: string | null;
  readonly tokens: string | null;
}

/**
 * Finds out whether all examples of some rows are alike, as they are added and in any order. Examples that differ, as
 * they do in an ordinary batch, cost nothing: bytes are compared up to the first that is another, and only with the
 * first example.
 */
export class AlikeSoFar {
  #pixels: Pixels | null = null;
  #captions: ExampleMeta['captions'] | null = null;
  #pictures = true;
  #texts = true;

  /** Gives the pixels that are not looked at again: of the first example they are kept until another differs. */
  add(pixels: Pixels, { captions }: ExampleMeta): Pixels[] {
    let seen = [pixels];
    if (this.#pictures) {
      const first = this.#pixels ?? pixels;
      this.#pictures = samePicture(first, pixels);
      this.#pixels = this.#pictures ? first : null;
      seen = [...new Set([first, pixels])].filter((one) => one !== this.#pixels);
    }
    if (this.#texts) {
      this.#captions ??= captions;
      this.#texts = isDeepStrictEqual(this.#captions, captions);
    }
    return seen;
  }

  same(): Omit<SameRows, 'tokens'> {
    return {
      picture: this.#pictures && this.#pixels ? nameOf(this.#pixels) : null,
      captions: this.#texts ? JSON.stringify(Object.entries(this.#captions ?? {}).sort()) : null,
    };
  }
}

/** `tokens` (count, L): what the texts of some rows came to. */
export function sameTokens(tokens: Int32Array, count: number): string | null {
  const size = tokens.length / count;
  const row = tokens.subarray(0, size);
  return tokens.every((id, i) => id === row[i % size]) ? row.join(' ') : null;
}

/** Whether all rows of a batch are alike, as more and more of them are made. */
export class AlikeRows {
  #same: SameRows | null = null;

  /** Of all rows up to these. Null when their pictures differ and so do their texts. */
  and(rows: SameRows): Alike | null {
    const before = this.#same ?? rows;
    const both = (of: keyof SameRows) => (before[of] === rows[of] ? rows[of] : null);
    this.#same = { picture: both('picture'), captions: both('captions'), tokens: both('tokens') };
    const pictures = this.#same.picture !== null;
    const texts = this.#same.captions !== null || this.#same.tokens !== null;
    return pictures || texts ? { pictures, texts } : null;
  }
}

/** Equal for pictures that are the same, as `samePicture` has it. */
function nameOf(pixels: Pixels): string {
  if (isOneColour(pixels)) return `all ${pixels.data.subarray(0, 3).join(' ')}`;
  return `${pixels.width} wide ${createHash('sha256').update(pixels.data).digest('hex')}`;
}

function samePicture(a: Pixels, b: Pixels): boolean {
  if (a === b || (a.width === b.width && equal(a.data, b.data))) return true;
  return isOneColour(a) && isOneColour(b) && equal(a.data.subarray(0, 3), b.data.subarray(0, 3));
}

/** Whether every pixel equals the one before it. */
const isOneColour = ({ data }: Pixels) => equal(data.subarray(3), data.subarray(0, -3));

const equal = (a: Uint8Array, b: Uint8Array) => a.length === b.length && Buffer.compare(a, b) === 0;
