import { ignored } from '../../data/example/pixel-values.ts';
import type { PixelKind } from '../../data/index/types.ts';
import type { GridSize } from '../../metrics/grid.ts';
import { RunnerError } from '../../runtime/errors.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import { gridsOf } from '../features/part-grids.ts';
import { coverOf, type View, viewName } from '../features/view.ts';
import type { Pause } from '../numbers/pause.ts';
import { LeftOut } from './left-out.ts';

/** A picture with a feature for each patch and truth for each pixel. All of it is valid until the next one is asked for. */
export interface DensePicture {
  /** Its place in the set. */
  readonly number: number;
  readonly name: string;
  /** Rows and columns of patches. */
  readonly grid: GridSize;
  /** (h w, D) by rows. */
  readonly patches: Float32Array;
  /** (D) `pooler_output`. */
  readonly pooled: Float32Array;
  /** Shares of height and width that the patches lie over: less than 1 where the side is no multiple of a patch. */
  readonly cover: readonly [number, number];
  /** In its own size; of normals three numbers a pixel. */
  readonly truth: Uint8Array | Uint16Array;
  readonly size: GridSize;
}

/** What is read of each picture. */
export interface DenseReading {
  readonly view: View;
  readonly features: 'patches' | 'aligned';
  readonly truth: PixelKind;
  /** Of masks: a picture with a class from this number on is left out. */
  readonly classes?: number;
}

/**
 * The pictures of a set that have truth of a kind, part by part: of one part its patches and its truth are in memory, some 200 MB.
 * Those without are told to `leftOut`.
 */
export async function* densePictures(
  set: FeatureSet,
  { view, features, truth: kind, classes = ignored }: DenseReading,
  leftOut = new LeftOut(),
): AsyncGenerator<DensePicture> {
  const at = viewName(set.config, view);
  const { width } = set.config.vision;
  let before = 0;
  for (const part of set.parts) {
    const { examples } = part.facts;
    const rows = await part.floats(`${features}/${at}`);
    const pooled = await part.floats(`pooled/${at}`);
    const [truth, sizes] = [await part.naturals(kind), await part.integers(`${kind}/sizes`)];
    const length = part.shape(`${features}/${at}`)[1]!;
    const gridOf = await gridsOf(part, at, length);
    let pixel = 0;
    for (const [i, { name, faults }] of examples.entries()) {
      const size = { height: sizes[2 * i]!, width: sizes[2 * i + 1]! };
      const end = pixel + size.height * size.width * (kind === 'normals' ? 3 : 1);
      const own = truth.subarray(pixel, end);
      pixel = end;
      const fault = own.length === 0 ? (faults?.[kind] ?? `${kind}: there is none`) : faultIn(own, kind, classes);
      if (fault !== null) {
        leftOut.add(name, fault);
        continue;
      }
      const grid = gridOf(i);
      const first = i * length * width;
      yield {
        ...{ number: before + i, name, grid, cover: coverOf(set.config, view), truth: own, size },
        patches: rows.subarray(first, first + grid.height * grid.width * width),
        pooled: pooled.subarray(i * width, (i + 1) * width),
      };
    }
    before += examples.length;
  }
}

/** One more than the largest class in the masks of some sets; DataContract where none has two. */
export async function classesIn(sets: readonly FeatureSet[], pause: Pause): Promise<number> {
  let largest = 0;
  for (const { parts } of sets)
    for (const part of parts) {
      for (const is of await part.naturals('mask')) if (is !== ignored && is > largest) largest = is;
      await pause();
    }
  if (largest > 0) return largest + 1;
  throw new RunnerError(
    'DataContract',
    'no mask has a class above 0, so there is nothing to tell apart; needed: NAME.mask.png beside the picture NAME, with a class for each pixel',
  );
}

function faultIn(truth: DensePicture['truth'], kind: PixelKind, classes: number): string | null {
  if (kind !== 'mask') return null;
  const beyond = truth.find((is) => is >= classes && is !== ignored);
  return beyond === undefined ? null : `mask: it has class ${beyond}, and there are ${classes}, from 0 on`;
}
