import type { Tensor2D } from '@tensorflow/tfjs';
import type { z } from 'zod';
import { tf } from '../../runtime/tensorflow.ts';
import { type Minimum, minimise } from '../numbers/lbfgs.ts';
import { type Matrix, takeRows, unitRows } from '../numbers/matrix.ts';
import type { Pause } from '../ranks.ts';
import { accuracy, hitsOf } from './accuracy.ts';
import type { Evaluator } from './contract.ts';
import { scaled, scales } from './few-shot.ts';
import { labelled } from './labels.ts';
import { type Linear, linearPlaces } from './linear-places.ts';
import { numberIn, trained } from './probe-data.ts';
import type { logisticSettings } from './settings.ts';

type Settings = z.infer<typeof logisticSettings>;

const top = [1, 5];
/** Largest part of the gradient of the mean loss at the end: single precision allows little less. */
const tolerance = 1e-5;
/** What scikit-learn is content with; above it the probe has not come to rest. */
const restless = 1e-4;

/**
 * Multinomial logistic regression on pooled features to its one minimum, mean loss + |W|^2 / (2 c n), the bias free: what
 * scikit-learn's `LogisticRegression` and a PyTorch probe with that decay come to.
 */
export const logistic: Evaluator<Settings> = {
  needs: () => ({ train: true }),
  protocol: ({ c, features, iterations }) => ({
    ties: 'against the model',
    features: `pooled, ${features}`,
    probe: `logistic, c ${c}, at most ${iterations} steps of L-BFGS`,
  }),
  async evaluate({ test, train, view, pause }, { c, features, iterations }) {
    const learned = trained(train!.concepts);
    const { labels, notes } = labelled(test.concepts, numberIn(learned.classes), 'no example in train');
    const usable = [...learned.labels.keys()].filter((i) => learned.labels[i]! >= 0);
    const [from, to] = prepared(takeRows(await train!.pooled(view), usable), await test.pooled(view), features);
    const own = Int32Array.from(usable, (i) => learned.labels[i]!);
    const { probe, minimum } = await learn(from, own, learned.classes.length, { c, iterations }, pause);
    const places = await linearPlaces(to, probe, labels, pause);
    const late =
      minimum.gradient <= restless
        ? []
        : [`the probe had not come to rest after ${minimum.iterations} steps: raise logistic.iterations, or lower c`];
    return {
      figures: {
        ...accuracy({ places, labels, classes: learned.classes.length }, top),
        train_loss: minimum.value,
        steps: minimum.iterations,
      },
      notes: [...learned.notes, ...late, ...notes],
      outcomes: hitsOf(places, top),
    };
  },
};

function prepared(from: Matrix, to: Matrix, how: Settings['features']): [Matrix, Matrix] {
  if (how === 'raw') return [from, to];
  if (how === 'unit') return [unitRows(from), unitRows(to)];
  const { mean, deviation } = scales(from);
  return [scaled(from, mean, deviation), scaled(to, mean, deviation)];
}

const rowsAtOnce = 16_384;

/** The features stay on the device: 4 bytes a number, 150 MB of 50,000 examples at width 768. */
export async function learn(
  { width, rows }: Matrix,
  labels: Int32Array,
  classes: number,
  { c, iterations }: Pick<Settings, 'c' | 'iterations'>,
  pause: Pause,
): Promise<{ readonly probe: Linear; readonly minimum: Minimum }> {
  const n = labels.length;
  const size = width * classes;
  const blocks: { readonly x: Tensor2D; readonly labels: Int32Array }[] = [];
  for (let first = 0; first < n; first += rowsAtOnce) {
    const part = rows.subarray(first * width, (first + rowsAtOnce) * width);
    blocks.push({
      x: tf.tensor2d(part, [part.length / width, width]),
      labels: labels.subarray(first, first + rowsAtOnce),
    });
  }
  const w = new Float64Array(size + classes);
  const objective = async (at: Float64Array, gradient: Float64Array) => {
    gradient.fill(0);
    let value = 0;
    const kernel = tf.tensor2d(Float32Array.from(at.subarray(0, size)), [width, classes]);
    const bias = tf.tensor1d(Float32Array.from(at.subarray(size)));
    try {
      for (const { x, labels: own } of blocks) {
        const [losses, kernelPart, biasPart] = tf.tidy(() => {
          const logits = tf.matMul(x, kernel).add(bias) as Tensor2D;
          const right = tf.oneHot(tf.tensor1d(own, 'int32'), classes).toFloat() as Tensor2D;
          const logSums = tf.logSumExp(logits, 1, true);
          const residual = logits.sub(logSums).exp().sub(right) as Tensor2D;
          const losses = logSums.sub(logits.mul(right).sum(1, true));
          return [losses, tf.matMul(x, residual, true, false), residual.sum(0)].map(
            (tensor) => tensor.dataSync() as Float32Array,
          ) as [Float32Array, Float32Array, Float32Array];
        });
        for (const loss of losses) value += loss / n;
        for (let k = 0; k < size; k++) gradient[k]! += kernelPart[k]! / n;
        for (let k = 0; k < classes; k++) gradient[size + k]! += biasPart[k]! / n;
        await pause();
      }
    } finally {
      kernel.dispose();
      bias.dispose();
    }
    for (let k = 0; k < size; k++) {
      value += at[k]! ** 2 / (2 * c * n);
      gradient[k]! += at[k]! / (c * n);
    }
    return value;
  };
  try {
    const minimum = await minimise(objective, w, { iterations, tolerance });
    return { probe: { weights: w.subarray(0, size), biases: w.subarray(size) }, minimum };
  } finally {
    for (const { x } of blocks) x.dispose();
  }
}
