import { thumbBytes } from '../near/fingerprint.ts';
import { areNear, bandOf, bands, bandValues, type Outline } from '../near/near.ts';

/** Pictures whose thumbnails lie in one piece. */
const pieceOf = 4096;

/**
 * Near copies among the first pictures: a table of bounded size, since those that are near share no hash to sample by. It is
 * 330 bytes a picture, 33 MB in all; objects and lists of them took 94 MB.
 */
export class NearCopies {
  readonly #most: number;
  readonly #thumbs: Uint8Array[] = [];
  readonly #hashes: Uint32Array;
  /** By band and value the picture that came last, and for each picture and band the one before it; -1: none. */
  readonly #last = new Int32Array(bands * bandValues).fill(-1);
  readonly #before: Int32Array;
  #kept = 0;
  compared = 0;
  copies = 0;

  constructor(most = 100_000) {
    this.#most = most;
    this.#hashes = new Uint32Array(2 * most);
    this.#before = new Int32Array(bands * most);
  }

  get isFull(): boolean {
    return this.compared >= this.#most;
  }

  /** A picture that is near to one before it is a copy, and is not kept. */
  add(outline: Outline): void {
    if (this.isFull) return;
    this.compared++;
    if (this.#isNear(outline)) this.copies++;
    else this.#keep(outline);
  }

  #isNear(outline: Outline): boolean {
    for (let band = 0; band < bands; band++)
      for (let place = this.#last[placeOf(outline, band)]!; place >= 0; place = this.#before[bands * place + band]!)
        if (areNear(this.#outlineOf(place), outline)) return true;
    return false;
  }

  #keep(outline: Outline): void {
    const place = this.#kept++;
    if (place % pieceOf === 0) this.#thumbs.push(new Uint8Array(pieceOf * thumbBytes));
    this.#thumbs.at(-1)!.set(outline.thumb, (place % pieceOf) * thumbBytes);
    this.#hashes.set([outline.high, outline.low], 2 * place);
    for (let band = 0; band < bands; band++) {
      const at = placeOf(outline, band);
      this.#before[bands * place + band] = this.#last[at]!;
      this.#last[at] = place;
    }
  }

  #outlineOf(place: number): Outline {
    const from = (place % pieceOf) * thumbBytes;
    const thumb = this.#thumbs[Math.floor(place / pieceOf)]!.subarray(from, from + thumbBytes);
    return { high: this.#hashes[2 * place]!, low: this.#hashes[2 * place + 1]!, thumb };
  }
}

const placeOf = ({ high, low }: Outline, band: number) => band * bandValues + bandOf(high, low, band);
