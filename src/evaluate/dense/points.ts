import { between } from '../../metrics/grid.ts';
import { randomStream } from '../../runtime/random.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import type { Matrix } from '../numbers/matrix.ts';
import type { Pause } from '../ranks.ts';
import type { LeftOut } from './left-out.ts';
import { type DensePicture, type DenseReading, densePictures } from './pictures.ts';

/** Places of pictures that a probe learns from. */
export interface Points {
  /** (N, D) features of patches, interpolated at each place. */
  readonly at: Matrix;
  /** (P, D) `pooler_output` of each picture. */
  readonly pooled: Matrix;
  /** (N) the picture of each place. */
  readonly of: Int32Array;
  /** (N, numbers of a place) what is true there. */
  readonly targets: Matrix;
  /** Places that were asked for of each picture. */
  readonly perPicture: number;
}

/** What of a pixel is learned from. */
export interface Target {
  /** Numbers of a place. */
  readonly width: number;
  /** Writes them; false where nothing is known of the pixel. */
  read(truth: DensePicture['truth'], pixel: number, into: Float32Array, at: number): boolean;
}

/** Features of all places: 350,000 of them at width 768, on the device too. */
const mostBytes = 2 ** 30;
/** Pixels that are tried for each place that is wanted: of a picture of which little is known fewer places come. */
const tries = 8;

/**
 * So many places of each picture, drawn by a seed among the pixels of which something is known. Where they would take more than
 * a gigabyte, fewer of each. A linear map of interpolated features is the interpolated map of features, so that learning from
 * places is learning from the upsampled scores of pixels.
 */
export async function drawPoints(
  set: FeatureSet,
  reading: DenseReading,
  { target, points, seed, leftOut }: { target: Target; points: number; seed: number; leftOut: LeftOut },
  pause: Pause,
): Promise<Points> {
  const { width } = set.config.vision;
  const pictures = set.examples.length;
  const most = Math.floor(mostBytes / (4 * width));
  const perPicture = Math.max(1, Math.min(points, Math.floor(most / pictures)));
  // Of more pictures than places some are passed over, evenly.
  const taken = Math.min(pictures, most);
  const rows = new Float32Array(taken * perPicture * width);
  const targets = new Float32Array(taken * perPicture * target.width);
  const pooled = new Float32Array(taken * width);
  const of = new Int32Array(taken * perPicture);
  let [count, used] = [0, 0];
  for await (const picture of densePictures(set, reading, leftOut)) {
    const { number, truth, size } = picture;
    if (Math.floor((number * taken) / pictures) === Math.floor(((number - 1) * taken) / pictures)) continue;
    const random = randomStream(seed, 'evaluate/points', number);
    const pixels = size.height * size.width;
    const first = count;
    for (let tried = 0; count - first < perPicture && tried < tries * perPicture; tried++) {
      const pixel = random.below(pixels);
      if (!target.read(truth, pixel, targets, count * target.width)) continue;
      interpolate(picture, width, pixel, rows, count * width);
      of[count++] = used;
    }
    if (count === first) continue;
    pooled.set(picture.pooled, used * width);
    used++;
    await pause();
  }
  return {
    at: { width, rows: rows.subarray(0, count * width) },
    pooled: { width, rows: pooled.subarray(0, used * width) },
    of: of.subarray(0, count),
    targets: { width: target.width, rows: targets.subarray(0, count * target.width) },
    perPicture,
  };
}

/** The feature at the centre of a pixel. */
function interpolate(
  { patches, grid, cover, size }: DensePicture,
  width: number,
  pixel: number,
  into: Float32Array,
  at: number,
): void {
  const y = between(Math.floor(pixel / size.width), grid.height, size.height, cover[0]);
  const x = between(pixel % size.width, grid.width, size.width, cover[1]);
  for (const [row, above] of [
    [y.low, 1 - y.share],
    [y.high, y.share],
  ] as const)
    for (const [column, left] of [
      [x.low, 1 - x.share],
      [x.high, x.share],
    ] as const) {
      const weight = above * left;
      if (weight === 0) continue;
      const from = (row * grid.width + column) * width;
      for (let k = 0; k < width; k++) into[at + k]! += weight * patches[from + k]!;
    }
}
