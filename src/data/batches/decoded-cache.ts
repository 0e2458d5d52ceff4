import type { Pixels } from '../example/pixels.ts';
import type { ExampleMeta } from '../example/types.ts';

export interface DecodedExample {
  readonly pixels: Pixels;
  readonly meta: ExampleMeta;
  /** Of the JSON that the captions come from. */
  readonly metaBytes: number;
}

/** Of decoded examples that are kept. */
export const decodedBytes = 256 * 1024 * 1024;

/** Decoded examples that were used last, up to a number of bytes: a small data set is decoded once. */
export class DecodedCache {
  readonly #limit: number;
  readonly #kept = new Map<string, DecodedExample>();
  #bytes = 0;

  constructor(limit = decodedBytes) {
    this.#limit = limit;
  }

  get(key: string): DecodedExample | undefined {
    const found = this.#kept.get(key);
    if (found) {
      this.#kept.delete(key);
      this.#kept.set(key, found);
    }
    return found;
  }

  set(key: string, example: DecodedExample): void {
    if (this.#kept.has(key) || costOfExample(example) > this.#limit) return;
    this.#kept.set(key, example);
    this.#bytes += costOfExample(example);
    for (const [oldest, dropped] of this.#kept) {
      if (this.#bytes <= this.#limit) break;
      this.#kept.delete(oldest);
      this.#bytes -= costOfExample(dropped);
    }
  }
}

/** Of what lies around pixels and captions: no example takes less. */
export const objectsCost = 4096;

/** A character takes up to two bytes. */
export function costOf({ bytes, metaBytes }: { readonly bytes: number; readonly metaBytes: number }): number {
  return bytes + 2 * metaBytes + objectsCost;
}

const costOfExample = ({ pixels, metaBytes }: DecodedExample) => costOf({ bytes: pixels.data.length, metaBytes });
