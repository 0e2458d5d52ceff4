import type { GridSize } from '../../metrics/grid.ts';
import { permutation, randomStream } from '../../runtime/random.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import type { PartExample, PartFile } from '../features/part-file.ts';
import { gridsOf } from '../features/part-grids.ts';
import { coverOf, type View, viewName } from '../features/view.ts';
import { boxBias } from './heads.ts';

/** A picture with a feature for each patch. */
export interface DetectionPicture {
  readonly number: number;
  readonly example: PartExample;
  /** (T, D), padding included. */
  readonly patches: Float32Array;
  /** Patches that are there. */
  readonly tokens: number;
  /** (T, 4) */
  readonly bias: Float32Array;
}

/**
 * The pictures of a set, part by part: the patches of one part are in memory, 256 MB, and what is still held of it by who asks.
 * With `shuffled` parts and pictures within one come in another order, drawn by it.
 */
export async function* detectionPictures(
  set: FeatureSet,
  view: View,
  shuffled?: { readonly seed: number; readonly round: number },
): AsyncGenerator<DetectionPicture> {
  const order = (n: number, of: number) =>
    shuffled
      ? permutation(n, randomStream(shuffled.seed, 'evaluate/detection', shuffled.round, of))
      : Uint32Array.from({ length: n }, (_, i) => i);
  const firsts: number[] = [];
  let count = 0;
  for (const { facts } of set.parts) {
    firsts.push(count);
    count += facts.examples.length;
  }
  for (const at of order(set.parts.length, 0))
    yield* picturesOf(set, view, set.parts[at]!, firsts[at]!, order(set.parts[at]!.facts.examples.length, at + 1));
}

async function* picturesOf(set: FeatureSet, view: View, part: PartFile, first: number, order: Iterable<number>) {
  const { config } = set;
  const { width, kind } = config.vision;
  const name = viewName(config, view);
  const rows = await part.floats(`patches/${name}`);
  const length = part.shape(`patches/${name}`)[1]!;
  const gridOf = await gridsOf(part, name, length);
  const biasOf = ({ height, width }: GridSize) => {
    const bias = new Float32Array(4 * length);
    bias.set(boxBias(height, width, coverOf(config, view)));
    return bias;
  };
  const square = kind === 'naflex' ? null : biasOf(gridOf(0));
  for (const i of order) {
    const grid = gridOf(i);
    const bias = square ?? biasOf(grid);
    const patches = rows.subarray(i * length * width, (i + 1) * length * width);
    yield { number: first + i, example: part.facts.examples[i]!, patches, tokens: grid.height * grid.width, bias };
  }
}
