import type { Tensor } from '@tensorflow/tfjs';
import type { Tensors } from '../../compile/definition.ts';
import { initialise } from '../../model/initialise.ts';
import type { ParameterSpec } from '../../model/parameters.ts';
import { firstMoment, optimiserStep, secondMoment, stepScalars } from '../../optimiser/optimiser.ts';
import { RunnerError } from '../../runtime/errors.ts';
import { tf } from '../../runtime/tensorflow.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import type { PartExample } from '../features/part-file.ts';
import type { View } from '../features/view.ts';
import type { Pause } from '../numbers/pause.ts';
import { gradientsOf, type Lesson, type Losses, type Taught } from './batch.ts';
import { headSpecs } from './heads.ts';
import { detectionPictures } from './pictures.ts';

export interface LearnSettings {
  readonly steps: number;
  readonly batch: number;
  readonly learningRate: number;
  readonly seed: number;
}

export interface Learned {
  /** To be disposed of by who asked. */
  readonly parameters: Tensors;
  /** Means of the last tenth of the steps. */
  readonly losses: Losses;
  /** How often the pictures were gone through, the last time perhaps not to its end. */
  readonly rounds: number;
}

/** As in OWL-ViT but for the rate: scenic `owl_vit/configs/clip_b16.py` has 1000 steps of warmup of 140,000. */
const optimizer = { weightDecay: 0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clipNorm: 1, multipliers: {} };
const warmupShare = 0.05;

/**
 * Learns the heads on stored features of patches: a pure function of them, the settings and the seed. Pictures come in rounds,
 * part by part, each time in another order. Memory: a part and a batch of patches.
 *
 * @param queries (C, D) texts of the categories, of length 1
 * @param lessonOf null for a picture that nothing is learned from
 */
export async function learnHeads(
  { train, view, queries }: { readonly train: FeatureSet; readonly view: View; readonly queries: Tensor },
  lessonOf: (example: PartExample) => Lesson | null,
  { steps, batch, learningRate, seed }: LearnSettings,
  pause: Pause,
): Promise<Learned> {
  // Pictures without a box are learned from too, as examples of what is not there; they alone say nothing.
  if (!train.examples.some((example) => (lessonOf(example)?.targets.categories.length ?? 0) > 0))
    throw nothingToLearn();
  const specs = headSpecs(queries.shape[1]!);
  const names = specs.map(({ name }) => name);
  let state = beginning(specs, seed);
  const tail = { classes: 0, distance: 0, overlap: 0 };
  const told = Math.max(1, Math.floor(steps / 10));
  let [step, rounds] = [0, 0];
  const learn = async (taught: readonly Taught[]) => {
    const { gradients, losses } = await gradientsOf(state, names, queries, taught, pause);
    state = updated(specs, state, gradients, { learningRate, factor: factorAt(step, steps), updates: step + 1 });
    step++;
    if (step <= steps - told) return;
    for (const name of Object.keys(tail) as (keyof Losses)[]) tail[name] += losses[name] / told;
  };
  try {
    while (step < steps) {
      let waiting: Taught[] = [];
      for await (const picture of detectionPictures(train, view, { seed, round: rounds })) {
        const lesson = lessonOf(picture.example);
        if (!lesson) continue;
        waiting.push({ picture, lesson });
        if (waiting.length < batch) continue;
        await learn(waiting);
        waiting = [];
        if (step === steps) break;
      }
      rounds++;
      // What is left of a round is a smaller batch: with the next round it would be held through a whole part.
      if (waiting.length > 0 && step < steps) await learn(waiting);
    }
    return { parameters: Object.fromEntries(names.map((name) => [name, state[name]!.clone()])), losses: tail, rounds };
  } finally {
    tf.dispose(state as Record<string, Tensor>);
  }
}

const nothingToLearn = () =>
  new RunnerError(
    'DataContract',
    'train: none of its pictures has a box of a category that is to be learned; detection learns from "objects": [{"category": "cat", "box": [top, left, bottom, right]}], whose categories are in classes.names',
  );

const beginning = (specs: readonly ParameterSpec[], seed: number): Tensors =>
  Object.fromEntries(
    specs.flatMap((spec): [string, Tensor][] => [
      [spec.name, tf.tensor(initialise(seed, spec), [...spec.shape])],
      [firstMoment(spec.name), tf.zeros([...spec.shape])],
      [secondMoment(spec.name), tf.zeros([...spec.shape])],
    ]),
  );

/** Of the learning rate: it rises, then falls as half a cosine. */
function factorAt(step: number, steps: number): number {
  const warmup = Math.ceil(warmupShare * steps);
  if (step < warmup) return (step + 1) / warmup;
  return 0.5 * (1 + Math.cos((Math.PI * (step - warmup)) / (steps - warmup)));
}

/** The state after a step; that of before and the gradients are let go of. */
function updated(
  specs: readonly ParameterSpec[],
  state: Tensors,
  gradients: Tensors,
  {
    learningRate,
    factor,
    updates,
  }: { readonly learningRate: number; readonly factor: number; readonly updates: number },
): Tensors {
  const next = tf.tidy(() => {
    const settings = { ...optimizer, learningRate };
    const { schedule, correction1, correction2 } = stepScalars(settings, updates, factor);
    const scalars = {
      schedule: tf.scalar(schedule),
      correction1: tf.scalar(correction1),
      correction2: tf.scalar(correction2),
    };
    return optimiserStep(specs, settings, state, gradients, scalars).state as Record<string, Tensor>;
  });
  tf.dispose({ ...state } as Record<string, Tensor>);
  tf.dispose({ ...gradients } as Record<string, Tensor>);
  return next;
}
