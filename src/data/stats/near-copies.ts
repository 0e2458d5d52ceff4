import type { Outline } from './outline.ts';

/** Two outlines are of one picture when so many of 64 bits differ at most, and no colour by more than this of 255. */
const mostBits = 3;
const mostColour = 12;
const bands = 4;

/** Near copies among the first pictures: a table of bounded size, since those that are near share no hash to sample by. */
export class NearCopies {
  readonly #most: number;
  readonly #outlines: Outline[] = [];
  /** By band and value: of two outlines that differ in 3 bits at most, one band of four is equal. */
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
    const keys = Array.from({ length: bands }, (_, band) => bandOf(outline, band));
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

/** Band 0 to 3 and its 16 bits as one number. */
const bandOf = ({ high, low }: Outline, band: number) =>
  band * 65_536 + (((band < 2 ? high : low) >>> (band % 2 === 0 ? 16 : 0)) & 0xffff);

export function areNear(a: Outline, b: Outline): boolean {
  if (ones(a.high ^ b.high) + ones(a.low ^ b.low) > mostBits) return false;
  return a.colours.every((value, i) => Math.abs(value - b.colours[i]!) <= mostColour);
}

function ones(word: number): number {
  let count = 0;
  for (let left = word >>> 0; left !== 0; left = (left & (left - 1)) >>> 0) count++;
  return count;
}
