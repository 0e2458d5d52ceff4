import { areNear, bandOf, bands, bandValues, type Outline } from '../near/near.ts';

/** Near copies among the first pictures: a table of bounded size, some 35 MB, since those that are near share no hash to sample by. */
export class NearCopies {
  readonly #most: number;
  readonly #outlines: Outline[] = [];
  /** By band and value: pictures meet that share one of the bands. */
  readonly #byBand = new Map<number, number[]>();
  compared = 0;
  copies = 0;

  constructor(most = 100_000) {
    this.#most = most;
  }

  get isFull(): boolean {
    return this.compared >= this.#most;
  }

  /** A picture that is near to one before it is a copy, and is not kept. */
  add(outline: Outline): void {
    if (this.isFull) return;
    this.compared++;
    const { high, low } = outline;
    const keys = Array.from({ length: bands }, (_, band) => band * bandValues + bandOf(high, low, band));
    const isNear = keys.some((key) => this.#byBand.get(key)?.some((place) => areNear(this.#outlines[place]!, outline)));
    if (isNear) {
      this.copies++;
      return;
    }
    const place = this.#outlines.push(outline) - 1;
    for (const key of keys) {
      const known = this.#byBand.get(key);
      if (known) known.push(place);
      else this.#byBand.set(key, [place]);
    }
  }
}
