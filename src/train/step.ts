import { setImmediate as yieldToEvents } from 'node:timers/promises';
import type { CompileOptions, ProgramDefinition, Values } from '../compile/definition.ts';
import { compile, type Program } from '../compile/program.ts';
import type { Arrays, Batch, BatchFacts, BatchRows } from '../data/batches/types.ts';
import { embeddingWidth } from '../model/sizes.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { scheduleFactor } from '../recipe/schedule.ts';
import { PhaseSteps } from '../recipe/steps.ts';
import { imageFeeds, lossOf } from './losses.ts';
import { stepScalars } from './optimiser.ts';
import { type PhaseState, phaseState } from './phase-state.ts';
import { accumulatedSignatures, candidatesSignature, microSums, stepSignature } from './signatures.ts';

/** What a step reports. */
export interface StepMetrics {
  /** Weighted sum over the objectives. */
  readonly loss: number;
  /** Before it is clipped. */
  readonly gradientNorm: number;
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
  /** Trains on a batch in memory. `step` counts from 1; `seen` are the examples that the run saw before it. */
  step(step: number, batch: Batch, seen?: number): StepMetrics;
  /**
   * The same on a batch of which no more than a micro-batch is in memory for it; `look` is called once, when all
   * of its rows are made and before the last of them is used, and may throw. The event loop gets its turn in between.
   */
  stepOn(step: number, batch: BatchRows, seen?: number, look?: (facts: BatchFacts) => void): Promise<StepMetrics>;
}

/** Rows that a step asks for, `names` of their arrays or all; `last`: rows up to these are not asked for again. */
interface Wanted {
  readonly first: number;
  readonly count: number;
  readonly names?: readonly string[];
  readonly last: boolean;
}

/** A step that is given the arrays of the rows that it asks for. */
type Asking<T> = Generator<Wanted, T, Arrays>;

/** State and signatures of the step of a phase, as they are compiled. */
export function stepDefinition(settings: PhaseSettings): ProgramDefinition {
  const phase = phaseState(settings);
  const accumulates = settings.accumulate > 1;
  const ofSums = sumsOf(settings, phase).map(({ name, shape }) => [name, { shape, dtype: 'float32' as const }]);
  const state = { ...phase.pieces, ...Object.fromEntries(ofSums) };
  // A graph has fixed shapes: one set of signatures for each that batches have.
  const signatures = Object.fromEntries(
    new PhaseSteps(settings.batches).shapes().flatMap((shape) => {
      const own = accumulates
        ? accumulatedSignatures(settings, phase, shape)
        : { step: stepSignature(settings, phase, shape) };
      return Object.entries(own).map(([name, signature]) => [of(name, shape.length), signature]);
    }),
  );
  const pieces = settings.batches.batch / settings.accumulate;
  if (settings.curation) signatures.candidates = candidatesSignature(settings, phase, pieces);
  return { state, signatures };
}

const sumsOf = ({ accumulate }: PhaseSettings, phase: PhaseState) => (accumulate > 1 ? microSums(phase) : []);

/** Compiles the step of a phase. Its state is all zeros until it is written. */
export function createTrainer(settings: PhaseSettings, options: Pick<CompileOptions, 'fuseFrom'> = {}): Trainer {
  const phase = phaseState(settings);
  const accumulates = settings.accumulate > 1;
  const { precision, xla } = settings;
  const program = compile(stepDefinition(settings), { ...options, precision, xla: xla === 'on' });
  if (accumulates) {
    const sums = sumsOf(settings, phase);
    program.write(Object.fromEntries(sums.map(({ name, shape }) => [name, new Float32Array(size(shape))])));
  }
  function* stepping(step: number, count: number, length: number | null, seen: number): Asking<StepMetrics> {
    // The factor at the examples seen before this step, as optax counts.
    const factor = scheduleFactor(seen, settings.schedule);
    const { schedule, correction1, correction2 } = stepScalars(settings.optimizer, step, factor);
    const scalars = {
      schedule: Float32Array.of(schedule),
      correction1: Float32Array.of(correction1),
      correction2: Float32Array.of(correction2),
    };
    const learningRate = settings.optimizer.learningRate * factor;
    if (accumulates)
      return { ...(yield* accumulatedStep(program, settings, phase, count, length, scalars)), learningRate };
    const feeds = yield { first: 0, count, last: true };
    const { loss, gradientNorm, ...reported } = program.run(of('step', length), { ...feeds, ...scalars });
    const objectives = Object.fromEntries(Object.entries(reported).map(([key, value]) => [key, value[0]!]));
    return { loss: loss![0]!, gradientNorm: gradientNorm![0]!, learningRate, objectives };
  }
  const before = (step: number) => (step - 1) * settings.batches.batch;
  return {
    program,
    stateNames: Object.keys(phase.pieces),
    step(step, { length = null, images, tokens, parts }, seen = before(step)) {
      const count = tokens.length / settings.batches.textLength;
      const feeds = { ...parts, images, tokens };
      const asking = stepping(step, count, length, seen);
      let next = asking.next();
      while (!next.done) next = asking.next(rowsOf(feeds, next.value.first, next.value.count, count));
      return next.value;
    },
    async stepOn(step, batch, seen = before(step), look) {
      const { count, length = null } = batch;
      const asking = stepping(step, count, length, seen);
      let next = asking.next();
      let looked = false;
      while (!next.done) {
        const { first, count: rows, ...options } = next.value;
        const arrays = await batch.rows(first, rows, options);
        if (!looked && first + rows === count) {
          looked = true;
          look?.(await batch.facts());
        }
        next = asking.next(arrays);
        // Messages, the loader and files get their turn between two micro-batches.
        if (!next.done) await yieldToEvents();
      }
      return next.value;
    },
  };
}

/** The name of a signature for batches of a length in patches. */
const of = (name: string, length: number | null) => (length === null ? name : `${name}/${length}`);

const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** One step in micro-batches; see `signatures.ts`. No rows of the batch are held here beyond one of them. */
function* accumulatedStep(
  program: Program,
  settings: PhaseSettings,
  phase: PhaseState,
  batch: number,
  length: number | null,
  scalars: Values,
): Asking<Omit<StepMetrics, 'learningRate'>> {
  const { accumulate } = settings;
  const count = batch / accumulate;
  const whole = phase.objectives.some(({ objective }) => objective.wholeBatch !== undefined);
  let loss = 0;
  const objectives: Record<string, number> = {};
  let d: Values = {};
  if (whole) {
    const size = batch * embeddingWidth(settings.model);
    const z = { images: new Float32Array(size), texts: new Float32Array(size) };
    const names = ['tokens', ...Object.keys(imageFeeds(settings, count, length))];
    for (let i = 0; i < accumulate; i++) {
      const part = yield { first: i * count, count, names, last: false };
      const rows = program.run(of('embed', length), part);
      z.images.set(rows.images!, (i * size) / accumulate);
      z.texts.set(rows.texts!, (i * size) / accumulate);
    }
    const { loss: value, images, texts, ...reported } = program.run(of('contrast', length), z);
    loss += value![0]!;
    for (const [key, values] of Object.entries(reported)) objectives[key] = values[0]!;
    d = { dImages: images!, dTexts: texts! };
  }
  for (let i = 0; i < accumulate; i++) {
    const part = yield { first: i * count, count, last: true };
    const gradients = rowsOf(d, i * count, count, batch);
    const { value: _, ...reported } = program.run(of('backward', length), { ...part, ...gradients });
    for (const [key, values] of Object.entries(reported)) {
      objectives[key] = (objectives[key] ?? 0) + values[0]! / accumulate;
    }
  }
  for (const { name, objective, settings: own } of phase.objectives) {
    if (objective.wholeBatch === undefined) loss += own.weight * objectives[lossOf(name)]!;
  }
  return { loss, objectives, gradientNorm: program.run(of('update', length), scalars).gradientNorm![0]! };
}

/** Rows of arrays of `of` rows: those of an example lie together in every one. */
function rowsOf(arrays: Values, first: number, count: number, of: number): Values {
  const part = (all: Values[string]) => all.subarray((first * all.length) / of, ((first + count) * all.length) / of);
  return Object.fromEntries(Object.entries(arrays).map(([name, all]) => [name, part(all)]));
}
