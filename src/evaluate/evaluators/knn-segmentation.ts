import type { z } from 'zod';
import { ignored } from '../../data/example/pixel-values.ts';
import { permutation, randomStream } from '../../runtime/random.ts';
import { LeftOut } from '../dense/left-out.ts';
import { MaskFigures, maskResolution } from '../dense/mask-figures.ts';
import { classesIn, type DensePicture, type DenseReading, densePictures } from '../dense/pictures.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import { joinedRows, type Matrix, unitRows } from '../numbers/matrix.ts';
import { nearestOf } from '../numbers/nearest.ts';
import type { Pause } from '../numbers/pause.ts';
import type { Evaluator } from './contract.ts';
import type { knnSegmentationSettings } from './dense-settings.ts';
import { nothingToLearn } from './probe-data.ts';

type Settings = z.infer<typeof knnSegmentationSettings>;

/** Patches that are looked up at once: some pictures, so that the device has enough to do. */
const lookedUp = 4096;

/**
 * Segmentation by the nearest patches of `train` (Hummingbird, arXiv 2306.01667): each patch of the memory votes
 * exp(cosine / temperature) for the classes of its pixels, by their shares; scores are upsampled bilinearly to the mask.
 */
export const knnSegmentation: Evaluator<Settings> = {
  needs: () => ({ train: true, patches: true, mask: true }),
  protocol: ({ k, temperature, memory, classes }, seed) => ({
    features: 'patch, of length 1',
    votes: `${k} nearest, exp(cosine / ${temperature})`,
    memory: `at most ${memory} patches, as many of each picture`,
    seed,
    resolution: maskResolution,
    ignored,
    classes: classes ?? 'as many as masks have',
  }),
  async evaluate({ test, train, view, seed, pause }, { k, temperature, memory: most, classes: told }) {
    const classes = told ?? (await classesIn([train!, test], pause));
    const reading = { view, features: 'patches', truth: 'mask', classes } as const;
    const [ofTrain, ofTest] = [new LeftOut(), new LeftOut()];
    const memory = await remember(train!, reading, { most, classes, seed, leftOut: ofTrain }, pause);
    const found = new MaskFigures(classes);
    let waiting: DensePicture[] = [];
    let patches = 0;
    const lookUp = async () => {
      if (waiting.length === 0) return;
      const { width } = memory.rows;
      const rows = joinedRows(waiting.map(({ patches }) => patches));
      const nearest = await nearestOf(unitRows({ width, rows }), memory.rows, k, pause);
      const scores = votes(nearest, memory.shares, classes, temperature);
      let first = 0;
      for (const picture of waiting) {
        const end = first + (picture.patches.length / width) * classes;
        found.add(picture, scores.subarray(first, end));
        first = end;
        await pause();
      }
      waiting = [];
      patches = 0;
    };
    for await (const picture of densePictures(test, reading, ofTest)) {
      // Of the next part nothing of this one is there any more.
      waiting.push({ ...picture, truth: picture.truth.slice(), patches: picture.patches.slice() });
      patches += picture.grid.height * picture.grid.width;
      if (patches >= lookedUp) await lookUp();
    }
    await lookUp();
    return {
      figures: { ...found.figures, left_out: ofTest.pictures, memory: memory.rows.rows.length / memory.rows.width },
      notes: [...ofTrain.notes('train: '), ...ofTest.notes()],
      outcomes: found.outcomes,
    };
  },
};

interface Memory {
  /** (M, D) of length 1: 300 MB of 100,000 at width 768. */
  readonly rows: Matrix;
  /** (M, classes) shares of the pixels of each patch. */
  readonly shares: Float32Array;
}

/** As many patches of each picture as fit, drawn by a seed among those with pixels that count. */
async function remember(
  set: FeatureSet,
  reading: DenseReading,
  { most, classes, seed, leftOut }: { most: number; classes: number; seed: number; leftOut: LeftOut },
  pause: Pause,
): Promise<Memory> {
  const { width } = set.config.vision;
  const pictures = set.examples.length;
  const perPicture = Math.max(1, Math.floor(most / pictures));
  const taken = Math.min(most, pictures);
  const rows: Float32Array[] = [];
  const shares: Float32Array[] = [];
  for await (const picture of densePictures(set, reading, leftOut)) {
    const { number, grid, patches } = picture;
    const turn = (at: number) => Math.floor((at * taken) / pictures);
    if (turn(number) === turn(number - 1)) continue;
    let left = perPicture;
    for (const patch of permutation(grid.height * grid.width, randomStream(seed, 'evaluate/memory', number))) {
      if (left === 0) break;
      const own = sharesOf(picture, patch, classes);
      if (!own) continue;
      rows.push(patches.slice(patch * width, (patch + 1) * width));
      shares.push(own);
      left--;
    }
    await pause();
  }
  if (rows.length === 0) throw nothingToLearn(leftOut.notes().join(' '));
  return { rows: unitRows({ width, rows: joinedRows(rows) }), shares: joinedRows(shares) };
}

/** Of the pixels below a patch, how many are of each class; null where none counts. */
function sharesOf(
  { grid, size, cover, truth }: DensePicture,
  patch: number,
  classes: number,
): Float32Array<ArrayBuffer> | null {
  const [row, column] = [Math.floor(patch / grid.width), patch % grid.width];
  const side = (at: number, of: number, pixels: number, share: number) => Math.round((at * pixels * share) / of);
  const shares = new Float32Array(classes);
  let counted = 0;
  const [top, bottom] = [row, row + 1].map((at) => side(at, grid.height, size.height, cover[0])) as [number, number];
  const [left, right] = [column, column + 1].map((at) => side(at, grid.width, size.width, cover[1])) as [
    number,
    number,
  ];
  for (let y = top; y < bottom; y++)
    for (let x = left; x < right; x++) {
      const is = truth[y * size.width + x]!;
      if (is === ignored) continue;
      shares[is]!++;
      counted++;
    }
  return counted === 0 ? null : shares.map((one) => one / counted);
}

function votes(
  { k, scores, places }: { readonly k: number; readonly scores: Float32Array; readonly places: Int32Array },
  shares: Float32Array,
  classes: number,
  temperature: number,
): Float32Array {
  const found = new Float32Array((scores.length / k) * classes);
  for (let query = 0; query < scores.length / k; query++) {
    const nearest = scores[query * k]!;
    for (let i = query * k; i < (query + 1) * k; i++) {
      // By that of the nearest, so that nothing is too large for a number.
      const weight = Math.exp((scores[i]! - nearest) / temperature);
      for (let c = 0; c < classes; c++) found[query * classes + c]! += weight * shares[places[i]! * classes + c]!;
    }
    let total = 0;
    for (let c = 0; c < classes; c++) total += found[query * classes + c]!;
    for (let c = 0; c < classes; c++) found[query * classes + c]! /= total;
  }
  return found;
}
