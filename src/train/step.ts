import { type CompileOptions, compile, type Program, type TensorSpec, type Values } from '../compile/program.ts';
import type { Batch } from '../data/types.ts';
import { parameterSpecs } from '../model/parameters.ts';
import { embeddingWidth } from '../model/sizes.ts';
import { cosineFactor } from '../recipe/schedule.ts';
import { firstMoment, secondMoment, stepScalars } from './optimiser.ts';
import type { PhaseSettings } from './protocol.ts';
import { accumulatedSignatures, gradientSum, stepSignature } from './signatures.ts';

/** What a step reports. */
export interface StepMetrics {
  readonly loss: number;
  readonly gradientNorm: number;
}

/** A training step: everything between a batch and the next state, as one graph. */
export interface Trainer {
  readonly program: Program;
  /** Every piece of state that a checkpoint holds: parameters by Hugging Face name, moments as m/name and v/name. */
  readonly stateNames: readonly string[];
  /** Trains on one batch. `step` counts from 1. */
  step(step: number, batch: Batch): StepMetrics;
}

/** Compiles the step of a phase. Its state is all zeros until it is written. */
export function createTrainer(settings: PhaseSettings, options: Pick<CompileOptions, 'fuseFrom'> = {}): Trainer {
  const specs = parameterSpecs(settings.model, settings.init);
  const accumulates = settings.accumulate > 1;
  const state: Record<string, TensorSpec> = {};
  for (const { name, shape } of specs) {
    for (const key of [name, firstMoment(name), secondMoment(name)]) state[key] = { shape, dtype: 'float32' };
  }
  const stateNames = Object.keys(state);
  if (accumulates) for (const { name, shape } of specs) state[gradientSum(name)] = { shape, dtype: 'float32' };
  const signatures = accumulates ? accumulatedSignatures(settings, specs) : { step: stepSignature(settings, specs) };
  const program = compile({ state, signatures }, { ...options, precision: settings.precision });
  if (accumulates) {
    program.write(
      Object.fromEntries(specs.map(({ name, shape }) => [gradientSum(name), new Float32Array(size(shape))])),
    );
  }
  const { total, warmup } = settings.schedule;
  return {
    program,
    stateNames,
    step(step, { images, tokens }) {
      // The factor at the examples seen before this step, as optax counts.
      const factor = cosineFactor((step - 1) * settings.batches.batch, total, warmup);
      const { schedule, correction1, correction2 } = stepScalars(settings.optimizer, step, factor);
      const scalars = {
        schedule: Float32Array.of(schedule),
        correction1: Float32Array.of(correction1),
        correction2: Float32Array.of(correction2),
      };
      const { loss, gradientNorm } = accumulates
        ? accumulatedStep(program, settings, images, tokens, scalars)
        : program.run('step', { images, tokens, ...scalars });
      return { loss: loss![0]!, gradientNorm: gradientNorm![0]! };
    },
  };
}

const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** One step in micro-batches; see `signatures.ts`. */
function accumulatedStep(
  program: Program,
  settings: PhaseSettings,
  images: Uint8Array,
  tokens: Int32Array,
  scalars: Values,
): Values {
  const { accumulate, model } = settings;
  const { batch, resolution, textLength } = settings.batches;
  const micro = batch / accumulate;
  const width = embeddingWidth(model);
  const parts = Array.from({ length: accumulate }, (_, i) => {
    const part = <T extends Uint8Array | Int32Array | Float32Array>(all: T, row: number) =>
      all.subarray(i * micro * row, (i + 1) * micro * row) as T;
    return { part, feeds: { images: part(images, resolution * resolution * 3), tokens: part(tokens, textLength) } };
  });
  const z = { images: new Float32Array(batch * width), texts: new Float32Array(batch * width) };
  for (const [i, { feeds }] of parts.entries()) {
    const rows = program.run('embed', feeds);
    z.images.set(rows.images!, i * micro * width);
    z.texts.set(rows.texts!, i * micro * width);
  }
  const d = program.run('contrast', z);
  for (const { part, feeds } of parts) {
    const dImages = part(d.images as Float32Array, width);
    const dTexts = part(d.texts as Float32Array, width);
    program.run('backward', { ...feeds, dImages, dTexts });
  }
  return { loss: d.loss!, ...program.run('update', scalars) };
}
