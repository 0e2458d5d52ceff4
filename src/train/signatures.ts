import type { Tensor } from '@tensorflow/tfjs';
import type { Signature, TensorSpec, Tensors } from '../compile/program.ts';
import type { ParameterSpec } from '../model/parameters.ts';
import { embeddingWidth } from '../model/sizes.ts';
import { textTower } from '../model/text-tower.ts';
import { normalisePixels, visionTower } from '../model/vision-tower.ts';
import { sigmoidLoss } from '../objectives/sigmoid.ts';
import { tf } from '../runtime/tensorflow.ts';
import { optimiserStep } from './optimiser.ts';
import type { PhaseSettings } from './protocol.ts';

/**
 * The parts of a training step as TF.js functions of state and feeds: what is compiled, and what a test can run
 * eagerly. With one micro-batch a step is `step`. With more, `embed` runs for each, `contrast` once for the whole
 * batch, `backward` for each again, and `update`: no more than one micro-batch of activations exists at a time, and
 * the gradient is that of the whole batch, since the loss sees the batch only through its embeddings.
 */

/** Sum of the gradients of the micro-batches so far; zero between steps, and no part of a checkpoint. */
export const gradientSum = (name: string) => `g/${name}`;

const scalar: TensorSpec = { shape: [], dtype: 'float32' };
const optimiserFeeds = { schedule: scalar, correction1: scalar, correction2: scalar };
const scalarsOf = (feeds: Tensors) => {
  const { schedule, correction1, correction2 } = feeds as Record<keyof typeof optimiserFeeds, Tensor>;
  return { schedule, correction1, correction2 };
};

/** Images (B, R, R, 3) and tokens (B, L) of `count` examples. */
function exampleFeeds(
  { batches: { resolution, textLength } }: PhaseSettings,
  count: number,
): Record<string, TensorSpec> {
  return {
    images: { shape: [count, resolution, resolution, 3], dtype: 'uint8' },
    tokens: { shape: [count, textLength], dtype: 'int32' },
  };
}

/** Features of a (micro-)batch, not normalised: (B, E) each. */
function features(
  settings: PhaseSettings,
  p: Tensors,
  images: Tensor,
  tokens: Tensor,
): { images: Tensor; texts: Tensor } {
  const options = { remat: settings.remat === 'blocks' };
  return {
    images: visionTower(p, settings.model, images, options).pooled,
    texts: textTower(p, settings.model, tokens, options).pooled,
  };
}

const loss = (settings: PhaseSettings, p: Tensors, images: Tensor, texts: Tensor): Tensor =>
  sigmoidLoss(p, images, texts).mul(settings.objectives.sigmoid!.weight) as Tensor;

/** Value and gradients of a scalar function of named tensors. */
function differentiate(
  names: readonly string[],
  at: Tensors,
  f: (p: Tensors) => Tensor,
): { value: Tensor; gradients: Tensors } {
  const byName = (tensors: readonly Tensor[]): Tensors =>
    Object.fromEntries(names.map((name, i) => [name, tensors[i]!]));
  const g = tf.valueAndGrads(((...tensors: Tensor[]) => f(byName(tensors))) as never);
  const { value, grads } = g(names.map((name) => at[name]!) as never);
  return { value: value as Tensor, gradients: byName(grads as Tensor[]) };
}

/** A whole step on a whole batch. */
export function stepSignature(settings: PhaseSettings, specs: readonly ParameterSpec[]): Signature {
  return {
    feeds: { ...exampleFeeds(settings, settings.batches.batch), ...optimiserFeeds },
    run(state, feeds) {
      const images = normalisePixels(feeds.images!);
      const { value, gradients } = differentiate(
        specs.map(({ name }) => name),
        state,
        (p) => {
          const z = features(settings, p, images, feeds.tokens!);
          return loss(settings, p, z.images, z.texts);
        },
      );
      const update = optimiserStep(specs, settings.optimizer, state, gradients, scalarsOf(feeds));
      return { outputs: { loss: value, gradientNorm: update.gradientNorm }, state: update.state };
    },
  };
}

/** The same step in parts. */
export function accumulatedSignatures(
  settings: PhaseSettings,
  specs: readonly ParameterSpec[],
): Record<string, Signature> {
  const { batch } = settings.batches;
  const examples = exampleFeeds(settings, batch / settings.accumulate);
  const width = embeddingWidth(settings.model);
  const rows = (count: number): TensorSpec => ({ shape: [count, width], dtype: 'float32' });
  const head = ['logit_scale', 'logit_bias'];
  const tower = specs.map(({ name }) => name).filter((name) => !head.includes(name));
  return {
    embed: {
      feeds: examples,
      run: (state, feeds) => ({ outputs: features(settings, state, normalisePixels(feeds.images!), feeds.tokens!) }),
    },
    contrast: {
      feeds: { images: rows(batch), texts: rows(batch) },
      run(state, feeds) {
        const at = {
          images: feeds.images!,
          texts: feeds.texts!,
          logit_scale: state.logit_scale!,
          logit_bias: state.logit_bias!,
        };
        const { value, gradients } = differentiate(Object.keys(at), at, (p) => loss(settings, p, p.images!, p.texts!));
        return {
          outputs: { loss: value, images: gradients.images!, texts: gradients.texts! },
          state: Object.fromEntries(head.map((name) => [gradientSum(name), gradients[name]!])),
        };
      },
    },
    backward: {
      feeds: { ...examples, dImages: rows(batch / settings.accumulate), dTexts: rows(batch / settings.accumulate) },
      run(state, feeds) {
        const images = normalisePixels(feeds.images!);
        const { value, gradients } = differentiate(tower, state, (p) => {
          const z = features(settings, p, images, feeds.tokens!);
          // Its gradient is the chain rule: d loss / d z, times d z / d parameters.
          return z.images.mul(feeds.dImages!).sum().add(z.texts.mul(feeds.dTexts!).sum()) as Tensor;
        });
        const sums = tower.map((name) => [gradientSum(name), state[gradientSum(name)]!.add(gradients[name]!)]);
        return { outputs: { value }, state: Object.fromEntries(sums) };
      },
    },
    update: {
      feeds: optimiserFeeds,
      run(state, feeds) {
        const gradients = Object.fromEntries(specs.map(({ name }) => [name, state[gradientSum(name)]!]));
        const update = optimiserStep(specs, settings.optimizer, state, gradients, scalarsOf(feeds));
        const zeros = specs.map(({ name, shape }) => [gradientSum(name), tf.zeros(shape as number[])]);
        return {
          outputs: { gradientNorm: update.gradientNorm },
          state: { ...update.state, ...Object.fromEntries(zeros) },
        };
      },
    },
  };
}
