import type { Program } from '../compile/program.ts';
import type { Arrays } from '../data/batches/types.ts';
import { embeddingWidth } from '../model/sizes.ts';
import { pictureWidth } from '../recipe/batch-plan.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';

/** What embeddings may take of the memory of a trainer. What comes when it is full is computed at every step. */
export const keptFeatureBytes = 2 ** 30;
/** Of an embedding beside its numbers: its key, its place in the map, and the object of its array. */
const entryBytes = 400;

/** What is kept of so many pictures, or at most. */
export function keptBytes({ model }: Pick<PhaseSettings, 'model'>, examples = Number.POSITIVE_INFINITY): number {
  return Math.min(keptFeatureBytes, examples * rowBytes(embeddingWidth(model)));
}

const rowBytes = (width: number) => 4 * width + entryBytes;

/**
 * The embeddings of pictures that a trainer has met, by a tower that no step changes. Each is computed alone, by one program of
 * one picture: so it does not depend on what else is in a batch, and a trainer that begins in the middle, with nothing
 * kept, computes the same bytes. The first that come stay, since an epoch would drop all that came before it otherwise.
 */
export class KeptFeatures {
  readonly #program: Pick<Program, 'run'>;
  readonly #width: number;
  readonly #most: number;
  readonly #rows = new Map<string, Float32Array>();
  #computed = 0;

  constructor(program: Pick<Program, 'run'>, { model }: Pick<PhaseSettings, 'model'>, bytes = keptFeatureBytes) {
    this.#program = program;
    this.#width = embeddingWidth(model);
    this.#most = Math.floor(bytes / rowBytes(this.#width));
  }

  /** Embeddings that were computed up to now, and those that are held. */
  get counts(): { readonly computed: number; readonly held: number } {
    return { computed: this.#computed, held: this.#rows.size };
  }

  /** (count, width) of rows of `images` and `pictures`. */
  of({ images, pictures }: Arrays, count: number): Float32Array {
    const out = new Float32Array(count * this.#width);
    const size = images!.length / count;
    for (let i = 0; i < count; i++) {
      const key = pictures!.subarray(i * pictureWidth, (i + 1) * pictureWidth).join(' ');
      const row = this.#rows.get(key) ?? this.#compute(key, images!.subarray(i * size, (i + 1) * size));
      out.set(row, i * this.#width);
    }
    return out;
  }

  /** Another tower may be in the graph. */
  clear(): void {
    this.#rows.clear();
  }

  #compute(key: string, images: Arrays[string]): Float32Array {
    const row = this.#program.run('picture', { images }).features as Float32Array;
    this.#computed++;
    if (this.#rows.size < this.#most) this.#rows.set(key, row);
    return row;
  }
}
