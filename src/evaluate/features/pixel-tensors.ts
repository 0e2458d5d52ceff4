import { largestPixelMember, type PixelTruth, readPixelTruth } from '../../data/example/pixel-truth.ts';
import type { PixelFault } from '../../data/example/pixel-values.ts';
import type { Pixels } from '../../data/example/pixels.ts';
import type { SelectedExample } from '../../data/example/read-selected.ts';
import type { PixelKind } from '../../data/index/types.ts';
import type { PartExample, PartTensors } from './part-file.ts';

/** Truth of one picture, or what is wrong with it. */
export type PixelsFound = Partial<Record<PixelKind, PixelTruth | PixelFault>>;

/** Reads what the members beside a picture say of its pixels. A picture without one of them can still be used otherwise. */
export async function pixelsOf(
  { pixels }: Pick<SelectedExample, 'pixels'>,
  kinds: readonly PixelKind[],
  image: Pick<Pixels, 'width' | 'height'>,
): Promise<PixelsFound> {
  const found: PixelsFound = {};
  for (const kind of kinds) {
    const bytes = pixels[kind];
    if (!bytes) found[kind] = { fault: `${kind}: there is no ${kind}.png member beside the picture` };
    // As `readSelected` gives one that it did not read.
    else if (bytes.length === 0)
      found[kind] = { fault: `${kind}: the ${kind}.png member has more than ${largestPixelMember} bytes` };
    else found[kind] = await readPixelTruth(kind, bytes, image);
  }
  return found;
}

/** As they stand in the facts of an example. */
export function faultsOf(found: PixelsFound): Pick<PartExample, 'faults'> {
  const faults = Object.entries(found).flatMap(([kind, one]) => ('fault' in one ? [[kind, one.fault] as const] : []));
  return faults.length > 0 ? { faults: Object.fromEntries(faults) } : {};
}

/** Truth of the pictures of a part: all pixels one after another, and how many rows and columns each picture has of them. */
export class PixelTensors {
  readonly #kinds: ReadonlyMap<PixelKind, { readonly values: PixelTruth['values'][]; readonly sizes: number[] }>;

  constructor(kinds: readonly PixelKind[]) {
    this.#kinds = new Map(kinds.map((kind) => [kind, { values: [], sizes: [] }]));
  }

  add(found: PixelsFound): void {
    for (const [kind, { values, sizes }] of this.#kinds) {
      const one = found[kind];
      if (one && 'values' in one) {
        values.push(one.values);
        sizes.push(one.height, one.width);
      } else sizes.push(0, 0);
    }
  }

  /** `<kind>` and `<kind>/sizes`, (n, 2). */
  get tensors(): PartTensors {
    return Object.fromEntries(
      [...this.#kinds].flatMap(([kind, { values, sizes }]) => {
        const length = values.reduce((sum, one) => sum + one.length, 0);
        const data = kind === 'depth' ? new Uint16Array(length) : new Uint8Array(length);
        let at = 0;
        for (const one of values) {
          data.set(one, at);
          at += one.length;
        }
        return [
          [kind, { shape: [length], data }],
          [`${kind}/sizes`, { shape: [sizes.length / 2, 2], data: Int32Array.from(sizes) }],
        ];
      }),
    );
  }
}
