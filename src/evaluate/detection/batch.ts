import type { Tensor } from '@tensorflow/tfjs';
import type { Tensors } from '../../compile/definition.ts';
import type { Parameters } from '../../model/layers.ts';
import { differentiate } from '../../optimiser/differentiate.ts';
import { tf } from '../../runtime/tensorflow.ts';
import type { Pause } from '../numbers/pause.ts';
import { detectionHeads, type Said } from './heads.ts';
import { detectionLosses, type Wanted } from './loss.ts';
import { matched, type Targets } from './matching.ts';
import type { DetectionPicture } from './pictures.ts';

/** What of a picture is learned from. */
export interface Lesson {
  readonly targets: Targets;
  /** Categories that were looked for in it; absent: all. */
  readonly lookedFor?: ReadonlySet<number>;
  /** Of which not all are marked: a token of no true box is neither right nor wrong. */
  readonly partial?: ReadonlySet<number>;
}

export interface Taught {
  readonly picture: Pick<DetectionPicture, 'patches' | 'tokens' | 'bias'>;
  readonly lesson: Lesson;
}

export interface Losses {
  readonly classes: number;
  readonly distance: number;
  readonly overlap: number;
}

/** Numbers of (tokens, categories) that are on the device at once, some ten times over: 160 MB. */
const mostAtOnce = 4 * 2 ** 20;

/** How many pictures are on the device at once. */
export const picturesAtOnce = (tokens: number, categories: number): number =>
  Math.max(1, Math.floor(mostAtOnce / (tokens * categories)));

/** Mean losses of a batch and the gradient of their sum, some pictures at a time. */
export async function gradientsOf(
  state: Tensors,
  names: readonly string[],
  queries: Tensor,
  batch: readonly Taught[],
  pause: Pause,
): Promise<{ readonly gradients: Tensors; readonly losses: Losses }> {
  const [count, width] = queries.shape as [number, number];
  const size = picturesAtOnce(batch[0]!.picture.patches.length / width, count);
  let gradients: Tensors | null = null;
  const losses = { classes: 0, distance: 0, overlap: 0 };
  for (let first = 0; first < batch.length; first += size) {
    const some = batch.slice(first, first + size);
    const found = tf.tidy(() => {
      const { tokens, bias } = inputsOf(some, width);
      const { gradients: own, aside } = differentiate(names, state, (p) => {
        const said = detectionHeads(p as Parameters, tokens, queries, bias);
        const { classes, distance, overlap } = detectionLosses(said, wantedOf(said, some, count, batch.length));
        return { value: classes.add(distance).add(overlap), aside: { losses: tf.stack([classes, distance, overlap]) } };
      });
      const sum = gradients;
      const all = sum ? Object.fromEntries(names.map((name) => [name, sum[name]!.add(own[name]!) as Tensor])) : own;
      return { ...all, losses: aside.losses! };
    }) as Record<string, Tensor>;
    const { losses: own, ...next } = found;
    const [classes, distance, overlap] = own!.dataSync();
    own!.dispose();
    if (gradients) tf.dispose(gradients as Record<string, Tensor>);
    gradients = next;
    losses.classes += classes!;
    losses.distance += distance!;
    losses.overlap += overlap!;
    await pause();
  }
  return { gradients: gradients!, losses };
}

/** (B T, D) and (B T, 4) */
export function inputsOf(some: readonly Pick<Taught, 'picture'>[], width: number): { tokens: Tensor; bias: Tensor } {
  const length = some[0]!.picture.patches.length / width;
  const patches = new Float32Array(some.length * length * width);
  const biases = new Float32Array(some.length * length * 4);
  for (const [i, { picture }] of some.entries()) {
    patches.set(picture.patches, i * length * width);
    biases.set(picture.bias, i * length * 4);
  }
  return {
    tokens: tf.tensor2d(patches, [some.length * length, width]),
    bias: tf.tensor2d(biases, [some.length * length, 4]),
  };
}

/** Which token is to say what, by what they say now. `of`: pictures of the whole batch, of which each is an equal share. */
export function wantedOf({ logits, boxes }: Said, some: readonly Taught[], count: number, of: number): Wanted {
  const length = logits.shape[0]! / some.length;
  const [said, placed] = [logits.dataSync() as Float32Array, boxes.dataSync() as Float32Array];
  const classes = new Float32Array(said.length);
  const weights = new Float32Array(said.length);
  const [tokens, truths, shares]: [number[], number[], number[]] = [[], [], []];
  for (const [i, { picture, lesson }] of some.entries()) {
    const { targets, lookedFor, partial } = lesson;
    const [first, end] = [i * length, (i + 1) * length];
    const share = 1 / (of * Math.max(1, targets.categories.length));
    const counts = Float32Array.from({ length: count }, (_, category) =>
      (lookedFor && !lookedFor.has(category)) || partial?.has(category) ? 0 : share,
    );
    for (let t = first; t < first + picture.tokens; t++) weights.set(counts, t * count);
    const own = matched(said.subarray(first * count, end * count), placed.subarray(4 * first, 4 * end), targets, {
      tokens: picture.tokens,
      count,
    });
    for (const [truth, token] of own.entries()) {
      if (token < 0) continue;
      const at = (first + token) * count + targets.categories[truth]!;
      classes[at] = 1;
      weights[at] = share;
      tokens.push(first + token);
      truths.push(...targets.boxes.subarray(4 * truth, 4 * truth + 4));
      shares.push(share);
    }
  }
  return {
    classes: tf.tensor2d(classes, [some.length * length, count]),
    weights: tf.tensor2d(weights, [some.length * length, count]),
    tokens: tf.tensor1d(tokens, 'int32'),
    boxes: tf.tensor2d(truths, [shares.length, 4]),
    shares: tf.tensor1d(shares),
  };
}
