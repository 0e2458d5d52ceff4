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

/** Whether all pictures of so many examples are kept, so that none is computed in a second epoch. */
export const keepsAll = (settings: Pick<PhaseSettings, 'model'>, examples: number): boolean =>
  examples <= mostKept(settings);

const mostKept = ({ model }: Pick<PhaseSettings, 'model'>, bytes = keptFeatureBytes): number =>
  Math.floor(bytes / rowBytes(embeddingWidth(model)));

const rowBytes = (width: number) => 4 * width + entryBytes;

/**
 * Pictures that one call embeds: of a call for one most of the time goes into the call where a model is small. Each has a place
 * of its own, and of a batch no place should have many: so there are eight times as many pictures as places, which makes
 * some 12 calls of 8 of a batch of 64.
 */
export function keptGroup({ batches, accumulate }: Pick<PhaseSettings, 'batches' | 'accumulate'>): number {
  const places = 2 ** Math.floor(Math.log2(batches.batch / accumulate / 8));
  return Math.min(16, Math.max(1, places));
}

/** Rows that are computed for each picture, since places stay empty: by chance 1.4 to 1.7 in batches of 32 to 256, 1.2 in 1,024. */
const rowsOfPicture = 1.5;

/** How many rows of groups are computed in a phase of so many examples, drawn from `data` that there are: what fits is once. */
export function picturesComputed(settings: PhaseSettings, examples: number, data: number): number {
  const first = Math.min(examples, data);
  const again = (examples - first) * Math.max(0, 1 - mostKept(settings) / data);
  return (first + again) * (keptGroup(settings) > 1 ? rowsOfPicture : 1);
}

/** A row of a batch, by what it shows. */
interface Picture {
  readonly key: string;
  readonly hash: Arrays[string];
  readonly row: number;
}

/**
 * The embeddings of pictures that a trainer has met, by a tower that no step changes. They are computed by one program of so
 * many pictures, in which each has the place that its hash says: so the bytes of an embedding do not depend on what else is
 * in a batch, whatever a kernel does with a place, and a trainer that begins in the middle, with nothing kept, computes the
 * same. The first that come stay, since an epoch would drop all that came before it otherwise.
 */
export class KeptFeatures {
  readonly #program: Pick<Program, 'run'>;
  readonly #width: number;
  readonly #most: number;
  readonly #group: number;
  readonly #rows = new Map<string, Float32Array>();
  #computed = 0;

  constructor(
    program: Pick<Program, 'run'>,
    settings: Pick<PhaseSettings, 'model' | 'batches' | 'accumulate'>,
    bytes = keptFeatureBytes,
  ) {
    this.#program = program;
    this.#width = embeddingWidth(settings.model);
    this.#group = keptGroup(settings);
    this.#most = mostKept(settings, bytes);
  }

  /** Embeddings that were computed up to now, and those that are held. */
  get counts(): { readonly computed: number; readonly held: number } {
    return { computed: this.#computed, held: this.#rows.size };
  }

  /** (count, width) of rows of `images` and `pictures`. */
  of({ images, pictures }: Arrays, count: number): Float32Array {
    const out = new Float32Array(count * this.#width);
    const size = images!.length / count;
    const all = Array.from({ length: count }, (_, row): Picture => {
      const hash = pictures!.subarray(row * pictureWidth, (row + 1) * pictureWidth);
      return { key: hash.join(' '), hash, row };
    });
    const missing = all.filter(({ key }) => !this.#rows.has(key));
    const once = [...new Map(missing.map((picture) => [picture.key, picture])).values()];
    const fresh = this.#compute(once, images!, size);
    for (const { key, row } of all) out.set(this.#rows.get(key) ?? fresh.get(key)!, row * this.#width);
    return out;
  }

  /** Another tower may be in the graph. */
  clear(): void {
    this.#rows.clear();
  }

  #compute(missing: readonly Picture[], images: Arrays[string], size: number): Map<string, Float32Array> {
    const fresh = new Map<string, Float32Array>();
    for (const call of this.#calls(missing)) {
      // A place without a picture stays dark: no row is computed from another.
      const fed = new Uint8Array(this.#group * size);
      for (const [place, { row }] of call) fed.set(images.subarray(row * size, (row + 1) * size), place * size);
      const features = this.#program.run('pictures', { images: fed }).features as Float32Array;
      for (const [place, { key }] of call)
        fresh.set(key, features.slice(place * this.#width, (place + 1) * this.#width));
    }
    for (const [key, row] of fresh) if (this.#rows.size < this.#most) this.#rows.set(key, row);
    this.#computed += fresh.size;
    return fresh;
  }

  /** What is computed at once, by its places. */
  #calls(missing: readonly Picture[]): Map<number, Picture>[] {
    const calls: Map<number, Picture>[] = [];
    for (const picture of missing) {
      const place = (picture.hash[0]! >>> 0) % this.#group;
      const free = calls.find((call) => !call.has(place));
      if (free) free.set(place, picture);
      else calls.push(new Map([[place, picture]]));
    }
    return calls;
  }
}
