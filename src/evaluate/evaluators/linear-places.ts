import type { Tensor2D } from '@tensorflow/tfjs';
import { tf } from '../../runtime/tensorflow.ts';
import type { Matrix } from '../numbers/matrix.ts';
import type { Pause } from '../numbers/pause.ts';
import { placeOf } from '../numbers/places.ts';

/** A linear classifier of features: (width, classes) and (classes). */
export interface Linear {
  readonly weights: Float64Array;
  readonly biases: Float64Array;
}

const rowsAtOnce = 4096;

/** The place of the best right class of each row; -1 where it has none. */
export async function linearPlaces(
  { width, rows }: Matrix,
  { weights, biases }: Linear,
  labels: readonly (readonly number[])[],
  pause: Pause,
): Promise<Int32Array> {
  const classes = biases.length;
  const places = new Int32Array(labels.length).fill(-1);
  const kernel = tf.tensor2d(Float32Array.from(weights), [width, classes]);
  const bias = tf.tensor1d(Float32Array.from(biases));
  try {
    for (let first = 0; first < labels.length; first += rowsAtOnce) {
      const part = rows.subarray(first * width, (first + rowsAtOnce) * width);
      const scores = tf.tidy(() => {
        const x = tf.tensor2d(part, [part.length / width, width]);
        return (tf.matMul(x, kernel) as Tensor2D).add(bias).dataSync() as Float32Array;
      });
      for (let i = 0; i < scores.length / classes; i++) {
        const own = labels[first + i]!;
        if (own.length > 0) places[first + i] = placeOf(scores, own, i * classes, classes);
      }
      await pause();
    }
  } finally {
    kernel.dispose();
    bias.dispose();
  }
  return places;
}
