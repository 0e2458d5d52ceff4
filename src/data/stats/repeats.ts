/** Of how many is a picture a copy of one before it, byte for byte. */
export interface Repeated {
  /** Pictures that were followed: all, or an even share of all there are by their hash. */
  readonly followed: number;
  /** Those of them that are a copy of another one of them. */
  readonly copies: number;
  /** Whether every picture was followed. */
  readonly all: boolean;
}

/**
 * Counts copies in a table of bounded size. When it is full it keeps half: those whose hash has one more leading zero. All
 * copies of a picture have its hash, so their share among those that are followed is their share among all.
 */
export class Repeats {
  readonly #most: number;
  readonly #times = new Map<string, number>();
  #zeros = 0;

  constructor(most = 200_000) {
    this.#most = most;
  }

  /** @param hash hexadecimal digits, at least 16, evenly spread */
  add(hash: string): void {
    if (zerosOf(hash) < this.#zeros) return;
    // 64 bits: among 200,000 two pictures share one with a chance of one in a billion.
    const key = hash.slice(0, 16);
    this.#times.set(key, (this.#times.get(key) ?? 0) + 1);
    while (this.#times.size > this.#most) {
      this.#zeros++;
      for (const known of this.#times.keys()) if (zerosOf(known) < this.#zeros) this.#times.delete(known);
    }
  }

  get found(): Repeated {
    let followed = 0;
    for (const times of this.#times.values()) followed += times;
    return { followed, copies: followed - this.#times.size, all: this.#zeros === 0 };
  }
}

const zerosOf = (hash: string) => Math.clz32(Number.parseInt(hash.slice(0, 8), 16));
