import type { CompileOptions, ProgramDefinition, Values } from '../compile/definition.ts';
import { compile, type Program } from '../compile/program.ts';
import type { ProgramCache } from '../compile/program-cache.ts';
import type { Batch } from '../data/batches/types.ts';
import { embeddingWidth } from '../model/sizes.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { scheduleFactor } from '../recipe/schedule.ts';
import { PhaseSteps } from '../recipe/steps.ts';
import { hashJson } from '../runtime/hash.ts';
import { lossOf } from './losses.ts';
import { stepScalars } from './optimiser.ts';
import { type PhaseState, phaseState } from './phase-state.ts';
import { accumulatedSignatures, candidatesSignature, microSums, optimiserFeeds, stepSignature } from './signatures.ts';
import { correctionValues, countGroups, noUpdates, type Updates, updatedParameters, updatesAfter } from './updates.ts';
import { normFigures, normsSignature, teacherFigures, teacherSignature } from './watched.ts';

/** What a step reports. */
export interface StepMetrics {
  /** Weighted sum over the objectives. */
  readonly loss: number;
  /** Before it is clipped. */
  readonly gradientNorm: number;
  /** 1 where the gradient was clipped, else 0. */
  readonly clipped: number;
  /** The optimiser's, times the factor of the schedule. */
  readonly learningRate: number;
  /** Each objective's loss as `loss/<objective>`, not weighted, and its metrics as `<objective>/<metric>`. */
  readonly objectives: Readonly<Record<string, number>>;
}

/** A training step: everything between a batch and the next state, as one graph. */
export interface Trainer {
  readonly program: Program;
  /** Every piece of state that a checkpoint holds: see `phase-state.ts`. */
  readonly stateNames: readonly string[];
  /** Trains on one batch. `step` counts from 1; `seen` are the examples that the run saw before it. */
  step(step: number, batch: Batch, seen?: number): StepMetrics;
  /** Says what the moments of a state have seen that is written now. Its graph must be the one of what was there. */
  begin(updates: Updates): void;
  /** What the moments have seen after a step. */
  updatesAfter(step: number): Updates;
  /** What is looked at now and then, of the step that was just made: see `watched.ts`. */
  watch(step: number, batch: Batch, seen?: number): Readonly<Record<string, number>>;
}

/** What the graph of a step depends on: equal texts, equal graphs. */
export function graphOf(settings: PhaseSettings, updates: Updates): string {
  const phase = phaseState(settings);
  const updated = updatedParameters(phase, updates).map(({ name }) => name);
  return hashJson({ settings, updated, groups: countGroups(phase, updates) });
}

/** State and signatures of the step of a phase, as they are compiled. */
export function stepDefinition(settings: PhaseSettings, updates: Updates = noUpdates): ProgramDefinition {
  const phase = phaseState(settings);
  const accumulates = settings.accumulate > 1;
  const ofSums = sumsOf(settings, phase, updates).map(({ name, shape }) => [
    name,
    { shape, dtype: 'float32' as const },
  ]);
  const state = { ...phase.pieces, ...Object.fromEntries(ofSums) };
  // A graph has fixed shapes: one set of signatures for each that batches have.
  const signatures = Object.fromEntries(
    new PhaseSteps(settings.batches).shapes().flatMap((shape) => {
      const own = accumulates
        ? accumulatedSignatures(settings, phase, shape, updates)
        : { step: stepSignature(settings, phase, shape, updates) };
      return Object.entries(own).map(([name, signature]) => [of(name, shape.length), signature]);
    }),
  );
  const pieces = settings.batches.batch / settings.accumulate;
  if (settings.curation) signatures.candidates = candidatesSignature(settings, phase, pieces);
  signatures.norms = normsSignature(settings, phase, updates, optimiserFeeds(phase, updates));
  if (phase.taught.length > 0) signatures.teacher = teacherSignature(settings, phase, pieces);
  return { state, signatures };
}

const sumsOf = ({ accumulate }: PhaseSettings, phase: PhaseState, updates: Updates) =>
  accumulate > 1 ? microSums(phase, updates) : [];

export interface TrainerOptions extends Pick<CompileOptions, 'fuseFrom'> {
  /** Of the state that will be written. */
  readonly updates?: Updates;
}

/** Compiles the step of a phase, or takes it from `cache`. Its state is all zeros until it is written. */
export function createTrainer(
  settings: PhaseSettings,
  { updates = noUpdates, ...options }: TrainerOptions = {},
  cache: ProgramCache | null = null,
): Trainer {
  let counts = updates;
  const phase = phaseState(settings);
  const accumulates = settings.accumulate > 1;
  const { precision, xla } = settings;
  if (precision === undefined) throw new Error('a step is compiled before its precision was chosen');
  const slot = cache?.slot({ settings, graph: graphOf(settings, updates), ...options }) ?? null;
  const program = compile(stepDefinition(settings, updates), { ...options, precision, xla: xla === 'on', slot });
  if (accumulates) {
    const sums = sumsOf(settings, phase, updates);
    program.write(Object.fromEntries(sums.map(({ name, shape }) => [name, new Float32Array(size(shape))])));
  }
  // The factor at the examples seen before this step, as optax counts.
  const scalarsAt = (step: number, seen = (step - 1) * settings.batches.batch) => {
    const factor = scheduleFactor(seen, settings.schedule);
    const { schedule, correction1, correction2 } = stepScalars(settings.optimizer, step, factor);
    const scalars = {
      schedule: Float32Array.of(schedule),
      correction1: Float32Array.of(correction1),
      correction2: Float32Array.of(correction2),
      ...correctionValues(settings.optimizer, phase, counts, step),
    };
    return { factor, scalars };
  };
  return {
    program,
    stateNames: Object.keys(phase.pieces),
    begin(updates) {
      counts = updates;
    },
    updatesAfter: (step) => updatesAfter(phase, counts, step),
    step(step, batch, seen) {
      const { factor, scalars } = scalarsAt(step, seen);
      const { length = null } = batch;
      const feeds: Values = { ...batch.parts, images: batch.images, tokens: batch.tokens };
      const learningRate = settings.optimizer.learningRate * factor;
      if (accumulates) return { ...accumulatedStep(program, settings, phase, length, feeds, scalars), learningRate };
      const { loss, gradientNorm, ...reported } = program.run(of('step', length), { ...feeds, ...scalars });
      const objectives = Object.fromEntries(Object.entries(reported).map(([key, value]) => [key, value[0]!]));
      return { loss: loss![0]!, ...clippedBy(settings, gradientNorm![0]!), learningRate, objectives };
    },
    watch(step, { parts: { globalView } }, seen) {
      const norms = normFigures(phase, program.run('norms', scalarsAt(step, seen).scalars));
      if (phase.taught.length === 0) return norms;
      const { accumulate } = settings;
      const said = Array.from({ length: accumulate }, (_, i) =>
        program.run('teacher', rowsOf({ globalView: globalView! }, i, accumulate)),
      );
      return { ...norms, ...teacherFigures(said) };
    },
  };
}

/** The name of a signature for batches of a length in patches. */
const of = (name: string, length: number | null) => (length === null ? name : `${name}/${length}`);

const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** One step in micro-batches; see `signatures.ts`. */
function accumulatedStep(
  program: Program,
  settings: PhaseSettings,
  phase: PhaseState,
  length: number | null,
  feeds: Values,
  scalars: Values,
): Omit<StepMetrics, 'learningRate'> {
  const { accumulate } = settings;
  const parts = Array.from({ length: accumulate }, (_, i) => rowsOf(feeds, i, accumulate));
  const whole = phase.objectives.some(({ objective }) => objective.wholeBatch !== undefined);
  let loss = 0;
  const objectives: Record<string, number> = {};
  let d: Values = {};
  if (whole) {
    const size = (feeds.tokens!.length / settings.batches.textLength) * embeddingWidth(settings.model);
    const z = { images: new Float32Array(size), texts: new Float32Array(size) };
    for (const [i, part] of parts.entries()) {
      const rows = program.run(of('embed', length), part);
      z.images.set(rows.images!, (i * size) / accumulate);
      z.texts.set(rows.texts!, (i * size) / accumulate);
    }
    const { loss: value, images, texts, ...reported } = program.run(of('contrast', length), z);
    loss += value![0]!;
    for (const [key, values] of Object.entries(reported)) objectives[key] = values[0]!;
    d = { dImages: images!, dTexts: texts! };
  }
  for (const [i, part] of parts.entries()) {
    const { value: _, ...reported } = program.run(of('backward', length), { ...part, ...rowsOf(d, i, accumulate) });
    for (const [key, values] of Object.entries(reported)) {
      objectives[key] = (objectives[key] ?? 0) + values[0]! / accumulate;
    }
  }
  for (const { name, objective, settings: own } of phase.objectives) {
    if (objective.wholeBatch === undefined) loss += own.weight * objectives[lossOf(name)]!;
  }
  const { gradientNorm } = program.run(of('update', length), scalars);
  return { loss, objectives, ...clippedBy(settings, gradientNorm![0]!) };
}

const clippedBy = ({ optimizer }: PhaseSettings, gradientNorm: number) => ({
  gradientNorm,
  clipped: gradientNorm > Math.fround(optimizer.clipNorm) ? 1 : 0,
});

/** Micro-batch `i`: the rows of an example lie together in every array. */
function rowsOf(arrays: Values, i: number, accumulate: number): Values {
  const part = (all: Values[string]) =>
    all.subarray((i * all.length) / accumulate, ((i + 1) * all.length) / accumulate);
  return Object.fromEntries(Object.entries(arrays).map(([name, all]) => [name, part(all)]));
}
