import { KernelMemory, Kernels } from '../../../simd/memory.ts';
import { kernels } from './kernels.ts';

interface Functions {
  resizeLine(
    from: number,
    next: number,
    to: number,
    below: number,
    width: number,
    table: number,
    shares: number,
    reach: number,
  ): void;
  weighLines(from: number, stride: number, to: number, line: number, shares: number, last: number): void;
  weighDoubles(from: number, stride: number, to: number, line: number, shares: number, last: number): void;
  weighToBytes(from: number, stride: number, to: number, line: number, shares: number, last: number): void;
  interpolate(upper: number, lower: number, to: number, width: number, table: number, share: number): void;
  widen(from: number, to: number, size: number): void;
  blend(at: number, size: number, from: number, share: number): void;
  sumLuma(at: number, size: number, to: number): void;
  saturate(at: number, size: number, share: number): void;
  turnHue(at: number, size: number, steps: number): void;
}

/** Of a thread. What does not fit is done by plain loops. */
const mostBytes = 16 * 2 ** 20;
/** Vectors are read and written a little beyond what they are of. */
const slack = 32;
const withSlack = (bytes: number) => Math.ceil((bytes + slack) / slack) * slack;
/** Of a picture, so that what is made of it has room beside it. */
const mostHeld = 4 * 2 ** 20;

/** The kernels and their memory, which is laid out anew for each picture. */
export class Simd extends KernelMemory<Functions> {
  #free = 0;
  #held: Uint8Array | null = null;

  constructor() {
    super(new Kernels<Functions>(kernels), mostBytes);
  }

  /** Lays places of so many bytes one behind the other; null where there is no room for them. What was there is let go. */
  places<const T extends readonly number[]>(...sizes: T): { readonly [K in keyof T]: number } | null {
    this.#free = this.#held ? withSlack(this.#held.length) : 0;
    const found = sizes.map((bytes) => {
      const at = this.#free;
      this.#free += withSlack(bytes);
      return at;
    });
    if (this.#free > mostBytes) return null;
    this.reserve(this.#free);
    return found as { [K in keyof T]: number };
  }

  /** Keeps a picture at hand while `use` runs, where it is not large: of many parts of it none is copied. */
  holding<T>(data: Uint8Array, use: () => T): T {
    if (this.#held || data.length > mostHeld) return use();
    const [at] = this.places(data.length)!;
    this.bytes(at, data.length).set(data);
    this.#held = data;
    try {
      return use();
    } finally {
      this.#held = null;
    }
  }

  /** Where a picture is held. */
  placeOf({ buffer, byteOffset }: Uint8Array): number | null {
    const held = this.#held;
    return held?.buffer === buffer && held.byteOffset === byteOffset ? 0 : null;
  }
}

let own: Simd | null | undefined;

/** That of this thread; null where the processor or Node has no vectors. */
export function simd(): Simd | null {
  if (own !== undefined) return own;
  try {
    own = new Simd();
  } catch {
    own = null;
  }
  return own;
}

/** Without vectors meanwhile: what the plain loops make, which vectors are held against. */
export function plainly(use: () => void): void {
  const before = simd();
  own = null;
  try {
    use();
  } finally {
    own = before;
  }
}
