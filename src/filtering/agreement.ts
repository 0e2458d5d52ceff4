/** In the place of a cosine: the model could not be shown the example; or it has no text in a language that is asked for. */
export const unseen = -2;
export const untold = Number.NaN;

/** Rows of a shard as a model made them, of length 1: (n, E) of the pictures, and of the texts in each language. */
export interface EmbeddedShard {
  readonly examples: number;
  readonly width: number;
  readonly images: Float32Array;
  readonly texts: readonly Float32Array[];
  /** Examples that the model could not be shown. */
  readonly corrupt: readonly number[];
}

/** How well picture and text of each example agree: the cosine, of several languages the highest. */
export function cosinesOf({ examples, width, images, texts, corrupt }: EmbeddedShard): Float32Array {
  const cosines = new Float32Array(examples).fill(untold);
  for (const rows of texts)
    for (let i = 0; i < examples; i++) {
      let [sum, norm] = [0, 0];
      for (let at = i * width; at < (i + 1) * width; at++) {
        sum += images[at]! * rows[at]!;
        norm += rows[at]! ** 2;
      }
      // The row of a text that an example does not have is zero.
      if (norm > 0) cosines[i] = Math.max(sum, Number.isNaN(cosines[i]!) ? -1 : cosines[i]!);
    }
  for (const i of corrupt) cosines[i] = unseen;
  return cosines;
}

const bins = 2 ** 17;

/** How the cosines of all examples are spread, to the nearest of 131,072 steps: memory does not grow with them. */
export class CosineSpread {
  readonly #counts = new Float64Array(bins + 1);
  /** Examples that have a cosine. */
  total = 0;

  add(cosines: Float32Array): void {
    for (const cosine of cosines) {
      if (!(cosine > unseen)) continue;
      this.#counts[Math.min(bins, Math.max(0, Math.floor(((cosine + 1) / 2) * bins)))]!++;
      this.total++;
    }
  }

  /** The highest step that at most this share of the examples lies below. */
  below(share: number): number {
    const most = Math.floor(share * this.total);
    let [below, bin] = [0, 0];
    while (bin < bins && below + this.#counts[bin]! <= most) below += this.#counts[bin++]!;
    return (2 * bin) / bins - 1;
  }
}
