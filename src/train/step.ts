import type { Tensor } from '@tensorflow/tfjs';
import { bytesToFloat } from '../compile/ops/bytes-to-float.ts';
import { compile, type Program, type Signature, type TensorSpec, type Tensors } from '../compile/program.ts';
import type { Batch } from '../data/types.ts';
import { type ParameterSpec, parameterSpecs } from '../model/parameters.ts';
import { textTower } from '../model/text-tower.ts';
import { visionTower } from '../model/vision-tower.ts';
import { sigmoidLoss } from '../objectives/sigmoid.ts';
import { cosineFactor } from '../recipe/schedule.ts';
import { tf } from '../runtime/tensorflow.ts';
import { firstMoment, optimiserStep, secondMoment, stepScalars } from './optimiser.ts';
import type { PhaseSettings } from './protocol.ts';

/** What a step reports. */
export interface StepMetrics {
  readonly loss: number;
  readonly gradientNorm: number;
}

/** A training step: everything between a batch and the next state, as one graph. */
export interface Trainer {
  readonly program: Program;
  /** Every piece of state: parameters by Hugging Face name, moments as m/name and v/name. */
  readonly stateNames: readonly string[];
  /** Trains on one batch. `step` counts from 1. */
  step(step: number, batch: Batch): StepMetrics;
}

/** Bytes 0..255 to [-1, 1], as big_vision's `value_range(-1, 1)`. */
export const normalisePixels = (bytes: Tensor): Tensor => bytesToFloat(bytes).div(127.5).sub(1) as Tensor;

/** The loss of a batch as a function of the parameters: images (B, R, R, 3) in [-1, 1], tokens (B, L). */
function batchLoss(settings: PhaseSettings, p: Tensors, images: Tensor, tokens: Tensor): Tensor {
  const vision = visionTower(p, settings.model, images);
  const text = textTower(p, settings.model, tokens);
  return sigmoidLoss(p, vision.pooled, text.pooled).mul(settings.objectives.sigmoid) as Tensor;
}

/** One step as a TF.js function of state and feeds: what is compiled, and what a test can run eagerly. */
export function stepSignature(settings: PhaseSettings, specs: readonly ParameterSpec[]): Signature {
  const { batch, resolution, textLength } = settings.batches;
  const scalar: TensorSpec = { shape: [], dtype: 'float32' };
  return {
    feeds: {
      images: { shape: [batch, resolution, resolution, 3], dtype: 'uint8' },
      tokens: { shape: [batch, textLength], dtype: 'int32' },
      schedule: scalar,
      correction1: scalar,
      correction2: scalar,
    },
    run(state, feeds) {
      const names = specs.map(({ name }) => name);
      const images = normalisePixels(feeds.images!);
      const loss = (...parameters: Tensor[]) =>
        batchLoss(settings, Object.fromEntries(names.map((name, i) => [name, parameters[i]!])), images, feeds.tokens!);
      const { value, grads } = tf.valueAndGrads(loss as never)(names.map((name) => state[name]!) as never);
      const gradients = Object.fromEntries(names.map((name, i) => [name, (grads as Tensor[])[i]!]));
      const scalars = { schedule: feeds.schedule!, correction1: feeds.correction1!, correction2: feeds.correction2! };
      const update = optimiserStep(specs, settings.optimizer, state, gradients, scalars);
      return { outputs: { loss: value as Tensor, gradientNorm: update.gradientNorm }, state: update.state };
    },
  };
}

/** Compiles the step of a phase. Its state is all zeros until it is written. */
export function createTrainer(settings: PhaseSettings): Trainer {
  const specs = parameterSpecs(settings.model, settings.init);
  const state: Record<string, TensorSpec> = {};
  for (const { name, shape } of specs) {
    for (const key of [name, firstMoment(name), secondMoment(name)]) state[key] = { shape, dtype: 'float32' };
  }
  const program = compile(
    { state, signatures: { step: stepSignature(settings, specs) } },
    { precision: settings.precision },
  );
  const { total, warmup } = settings.schedule;
  return {
    program,
    stateNames: Object.keys(state),
    step(step, batch) {
      // The factor at the examples seen before this step, as optax counts.
      const schedule = cosineFactor((step - 1) * settings.batches.batch, total, warmup);
      const scalars = stepScalars(settings.optimizer, step, schedule);
      const { loss, gradientNorm } = program.run('step', {
        images: batch.images,
        tokens: batch.tokens,
        schedule: Float32Array.of(scalars.schedule),
        correction1: Float32Array.of(scalars.correction1),
        correction2: Float32Array.of(scalars.correction2),
      });
      return { loss: loss![0]!, gradientNorm: gradientNorm![0]! };
    },
  };
}
