import type { Scalar, Tensor, Tensor2D } from '@tensorflow/tfjs';
import { randomStream } from '../../runtime/random.ts';
import { tf } from '../../runtime/tensorflow.ts';
import type { Linear } from '../evaluators/linear-places.ts';
import { type Minimum, minimise } from '../numbers/lbfgs.ts';
import { type Matrix, rowCount } from '../numbers/matrix.ts';
import type { Pause } from '../ranks.ts';
import type { DensePicture } from './pictures.ts';
import type { Points } from './points.ts';

/** Mean loss of a block of places, from what the probe says of them: (n, outputs), (n, numbers of a place). */
export type ProbeLoss = (outputs: Tensor2D, targets: Tensor2D) => Scalar;

export interface ProbeSettings {
  readonly outputs: number;
  readonly loss: ProbeLoss;
  /** Weight of |W|^2 / 2 beside the mean loss, of features at mean 0 and deviation 1; the bias is free. */
  readonly l2: number;
  readonly iterations: number;
  /** Weights to begin with are drawn by it; null: they are 0, for losses with one minimum. */
  readonly seed: number | null;
}

/** Places of a block: a batch, where the loss is more than a mean over places. */
const blockPlaces = 8192;
const tolerance = 1e-5;

/**
 * A linear map of [patch, pooled], learned by L-BFGS on all places at once: a pure function of them. Features are brought to
 * mean 0 and deviation 1, as the batch norm of DINOv2's heads does, and the map that comes out is of features as they are:
 * weights (2 D, outputs). The features of all places are on the device. What `points` hold is used up.
 */
export async function learnProbe(
  { at, pooled, of, targets }: Points,
  { outputs, loss, l2, iterations, seed }: ProbeSettings,
  pause: Pause,
): Promise<{ readonly probe: Linear; readonly minimum: Minimum }> {
  const [n, { width }] = [of.length, at];
  const ofPatches = standardise(at, null);
  const ofPooled = standardise(pooled, of);
  const size = 2 * width * outputs;
  const blocks: { readonly x: Tensor2D; readonly of: Tensor; readonly targets: Tensor2D; readonly n: number }[] = [];
  const all = tf.tensor2d(ofPooled.rows, [rowCount(pooled), width]);
  const w = new Float64Array(size + outputs);
  if (seed !== null) {
    const random = randomStream(seed, 'evaluate/probe');
    for (let k = 0; k < size; k++) w[k] = random.normal() / Math.sqrt(2 * width);
  }
  try {
    for (let first = 0; first < n; first += blockPlaces) {
      const end = Math.min(n, first + blockPlaces);
      const rows = (from: Matrix) => from.rows.subarray(first * from.width, end * from.width);
      blocks.push({
        x: tf.tensor2d(rows({ width, rows: ofPatches.rows }), [end - first, width]),
        of: tf.tensor1d(of.subarray(first, end), 'int32'),
        targets: tf.tensor2d(rows(targets), [end - first, targets.width]),
        n: end - first,
      });
    }
    const minimum = await minimise(
      async (weights, gradient) => {
        gradient.fill(0);
        let value = 0;
        const kernel = tf.tensor2d(Float32Array.from(weights.subarray(0, size)), [2 * width, outputs]);
        const bias = tf.tensor1d(Float32Array.from(weights.subarray(size)));
        try {
          for (const block of blocks) {
            const [own, ofKernel, ofBias] = tf.tidy(() => {
              const x = tf.concat([block.x, tf.gather(all, block.of) as Tensor2D], 1);
              const says = tf.matMul(x, kernel).add(bias) as Tensor2D;
              const { value, grad } = tf.valueAndGrad((y: Tensor) => loss(y as Tensor2D, block.targets))(says);
              return [value, tf.matMul(x, grad as Tensor2D, true, false), grad.sum(0)].map(
                (tensor) => tensor.dataSync() as Float32Array,
              ) as [Float32Array, Float32Array, Float32Array];
            });
            const share = block.n / n;
            value += share * own[0]!;
            for (let k = 0; k < size; k++) gradient[k]! += share * ofKernel[k]!;
            for (let k = 0; k < outputs; k++) gradient[size + k]! += share * ofBias[k]!;
            await pause();
          }
        } finally {
          kernel.dispose();
          bias.dispose();
        }
        for (let k = 0; k < size; k++) {
          value += (l2 / 2) * weights[k]! ** 2;
          gradient[k]! += l2 * weights[k]!;
        }
        return value;
      },
      w,
      { iterations, tolerance },
    );
    return { probe: unscaled(w, outputs, [ofPatches, ofPooled]), minimum };
  } finally {
    all.dispose();
    for (const { x, of, targets } of blocks) tf.dispose([x, of, targets]);
  }
}

interface Standard extends Matrix {
  readonly mean: Float64Array;
  readonly deviation: Float64Array;
}

/** Brings rows to mean 0 and deviation 1 where they are, since a copy would be a gigabyte; each is counted as often as `of` has it. */
function standardise({ width, rows }: Matrix, of: Int32Array | null): Standard {
  const count = rows.length / width;
  const times = new Float64Array(count).fill(of ? 0 : 1);
  for (const row of of ?? []) times[row]!++;
  const n = of?.length ?? count;
  const mean = new Float64Array(width);
  const squares = new Float64Array(width);
  for (let i = 0, at = 0; i < count; i++) for (let k = 0; k < width; k++, at++) mean[k]! += (times[i]! * rows[at]!) / n;
  for (let i = 0, at = 0; i < count; i++)
    for (let k = 0; k < width; k++, at++) squares[k]! += (times[i]! * (rows[at]! - mean[k]!) ** 2) / n;
  const deviation = squares.map((one) => Math.sqrt(one) + 1e-5);
  for (let i = 0, at = 0; i < count; i++)
    for (let k = 0; k < width; k++, at++) rows[at] = (rows[at]! - mean[k]!) / deviation[k]!;
  return { width, rows, mean, deviation };
}

function unscaled(w: Float64Array, outputs: number, scales: readonly Standard[]): Linear {
  const weights = w.slice(0, w.length - outputs);
  const biases = w.slice(w.length - outputs);
  let row = 0;
  for (const { mean, deviation } of scales)
    for (let k = 0; k < mean.length; k++, row++)
      for (let c = 0; c < outputs; c++) {
        const weight = weights[row * outputs + c]! / deviation[k]!;
        weights[row * outputs + c] = weight;
        biases[c]! -= mean[k]! * weight;
      }
  return { weights, biases };
}

/** What a probe says of every patch of a picture: (h w, outputs). */
export class ProbeOnPictures {
  readonly #patches: Tensor2D;
  readonly #pooled: Tensor2D;
  readonly #bias: Tensor;
  readonly #width: number;

  constructor({ weights, biases }: Linear, width: number) {
    const outputs = biases.length;
    const half = (first: number) =>
      tf.tensor2d(Float32Array.from(weights.subarray(first, first + width * outputs)), [width, outputs]);
    this.#patches = half(0);
    this.#pooled = half(width * outputs);
    this.#bias = tf.tensor1d(Float32Array.from(biases));
    this.#width = width;
  }

  of({ patches, pooled }: Pick<DensePicture, 'patches' | 'pooled'>): Float32Array {
    const width = this.#width;
    return tf.tidy(() => {
      const common = tf.matMul(tf.tensor2d(pooled, [1, width]), this.#pooled).add(this.#bias);
      return tf
        .matMul(tf.tensor2d(patches, [patches.length / width, width]), this.#patches)
        .add(common)
        .dataSync() as Float32Array;
    });
  }

  dispose(): void {
    tf.dispose([this.#patches, this.#pooled, this.#bias]);
  }
}
