import { setImmediate as yieldToEvents } from 'node:timers/promises';
import type { CompileOptions, ProgramDefinition, Values } from '../compile/definition.ts';
import { compile, type Program } from '../compile/program.ts';
import type { ProgramCache } from '../compile/program-cache.ts';
import type { Arrays, Batch, BatchFacts, BatchRows } from '../data/batches/types.ts';
import { embeddingWidth } from '../model/sizes.ts';
import { unitTexts } from '../objectives/text-bank.ts';
import { stepScalars } from '../optimiser/optimiser.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { scheduleFactor } from '../recipe/schedule.ts';
import { PhaseSteps } from '../recipe/steps.ts';
import { hashJson } from '../runtime/hash.ts';
import { KeptFeatures } from './kept-features.ts';
import { imageFeeds, keepsFeatures, lossOf } from './losses.ts';
import { type PhaseState, phaseState } from './phase-state.ts';
import {
  accumulatedSignatures,
  candidatesSignature,
  microSums,
  optimiserFeeds,
  picturesSignature,
  stepSignature,
  wholeFeeds,
} from './signatures.ts';
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

/** What a step hands to who trains. */
export interface Stepped extends StepMetrics {
  /** The texts of the batch as rows of length one, where there is a bank to take them. */
  readonly texts?: Float32Array;
}

/** A training step: everything between a batch and the next state, as one graph. */
export interface Trainer {
  readonly program: Program;
  /** Every piece of state that a checkpoint holds: see `phase-state.ts`. */
  readonly stateNames: readonly string[];
  /** Trains on a batch in memory. `step` counts from 1; `seen` are the examples that the run saw before it. */
  step(step: number, batch: Batch, seen?: number): Stepped;
  /** The same on a batch of which no more than a micro-batch is in memory for it. The event loop gets its turn in between. */
  stepOn(step: number, batch: BatchRows, seen?: number, options?: StepOnOptions): Promise<Stepped>;
  /** Says what the moments of a state have seen that is written now. Its graph must be the one of what was there. */
  begin(updates: Updates): void;
  /** What the moments have seen after a step. */
  updatesAfter(step: number): Updates;
  /** What is looked at now and then, of the step that was just made: see `watched.ts`. */
  watch(step: number, batch: Batch, seen?: number): Readonly<Record<string, number>>;
  /** The same of a batch whose rows were kept. */
  watchOn(step: number, batch: BatchRows, seen?: number): Promise<Readonly<Record<string, number>>>;
}

export interface StepOnOptions {
  /** Called once, when all rows of the batch are made and before the last of them is used: may throw. */
  readonly look?: (facts: BatchFacts) => void;
  /** Rows are to be kept, since the step is watched. */
  readonly keep?: boolean;
}

/** Rows that are asked for, `names` of their arrays or all; `last`: rows up to these are not asked for again. */
interface Wanted {
  readonly first: number;
  readonly count: number;
  readonly names?: readonly string[];
  readonly last: boolean;
}

/** What is given the arrays of the rows that it asks for. */
type Asking<T> = Generator<Wanted, T, Arrays>;

/** From a batch in memory of `count` rows. */
function given<T>(asking: Asking<T>, { images, tokens, parts }: Batch, count: number): T {
  const arrays = { ...parts, images, tokens };
  let next = asking.next();
  while (!next.done) next = asking.next(rowsOf(arrays, next.value.first, next.value.count, count));
  return next.value;
}

async function givenRows<T>(
  asking: Asking<T>,
  batch: BatchRows,
  { look, keep = false }: StepOnOptions = {},
): Promise<T> {
  let looked = false;
  let next = asking.next();
  while (!next.done) {
    const { first, count, names, last } = next.value;
    const arrays = await batch.rows(first, count, { names, last: last && !keep });
    if (!looked && first + count === batch.count) {
      looked = true;
      look?.(await batch.facts());
    }
    next = asking.next(arrays);
    // Messages, the loader and files get their turn between two micro-batches.
    if (!next.done) await yieldToEvents();
  }
  return next.value;
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
      return Object.entries(own).map(([name, signature]) => [named(name, shape.length), signature]);
    }),
  );
  const pieces = settings.batches.batch / settings.accumulate;
  if (settings.curation) signatures.candidates = candidatesSignature(settings, phase, pieces);
  if (keepsFeatures(settings)) signatures.pictures = picturesSignature(settings, phase);
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
  const compiled = compile(stepDefinition(settings, updates), { ...options, precision, xla: xla === 'on', slot });
  const kept = keepsFeatures(settings) ? new KeptFeatures(compiled, settings) : null;
  const program = kept ? forgetting(compiled, kept) : compiled;
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
  function* stepping(step: number, count: number, length: number | null, seen?: number): Asking<Stepped> {
    const { factor, scalars } = scalarsAt(step, seen);
    const learningRate = settings.optimizer.learningRate * factor;
    if (accumulates)
      return { ...(yield* accumulatedStep({ program, kept }, settings, phase, count, length, scalars)), learningRate };
    const arrays = yield { first: 0, count, last: true };
    const feeds = kept ? { ...arrays, imageFeatures: kept.of(arrays, count) } : arrays;
    const outputs = program.run(named('step', length), { ...feeds, ...scalars });
    const { loss, gradientNorm, [unitTexts]: texts, ...reported } = outputs;
    const objectives = Object.fromEntries(Object.entries(reported).map(([key, value]) => [key, value[0]!]));
    return {
      loss: loss![0]!,
      ...clippedBy(settings, gradientNorm![0]!),
      learningRate,
      objectives,
      ...(texts && { texts: texts as Float32Array }),
    };
  }
  function* watching(step: number, batch: number, seen?: number): Asking<Readonly<Record<string, number>>> {
    const norms = normFigures(phase, program.run('norms', scalarsAt(step, seen).scalars));
    if (phase.taught.length === 0) return norms;
    const count = batch / settings.accumulate;
    const said: Values[] = [];
    for (let first = 0; first < batch; first += count)
      said.push(program.run('teacher', yield { first, count, names: ['globalView'], last: true }));
    return { ...norms, ...teacherFigures(said) };
  }
  const countOf = ({ tokens }: Batch) => tokens.length / settings.batches.textLength;
  return {
    program,
    stateNames: Object.keys(phase.pieces),
    begin(updates) {
      counts = updates;
    },
    updatesAfter: (step) => updatesAfter(phase, counts, step),
    step(step, batch, seen) {
      const count = countOf(batch);
      return given(stepping(step, count, batch.length ?? null, seen), batch, count);
    },
    stepOn: (step, batch, seen, options) =>
      givenRows(stepping(step, batch.count, batch.length ?? null, seen), batch, options),
    watch(step, batch, seen) {
      const count = countOf(batch);
      return given(watching(step, count, seen), batch, count);
    },
    watchOn: (step, batch, seen) => givenRows(watching(step, batch.count, seen), batch),
  };
}

/** Of a state that is written the tower may be another one. */
const forgetting = (program: Program, kept: KeptFeatures): Program => ({
  ...program,
  write(values) {
    kept.clear();
    program.write(values);
  },
});

/** The name of a signature for batches of a length in patches. */
const named = (name: string, length: number | null) => (length === null ? name : `${name}/${length}`);

const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** One step in micro-batches; see `signatures.ts`. No rows of the batch are held here beyond one of them. */
function* accumulatedStep(
  { program, kept }: { readonly program: Program; readonly kept: KeptFeatures | null },
  settings: PhaseSettings,
  phase: PhaseState,
  batch: number,
  length: number | null,
  scalars: Values,
): Asking<Omit<Stepped, 'learningRate'>> {
  const { accumulate } = settings;
  const count = batch / accumulate;
  const whole = phase.objectives.some(({ objective }) => objective.wholeBatch !== undefined);
  let loss = 0;
  const objectives: Record<string, number> = {};
  let d: Values = {};
  let texts: Float32Array | undefined;
  if (whole) {
    const size = batch * embeddingWidth(settings.model);
    const z = { images: new Float32Array(size), texts: new Float32Array(size) };
    const shared = wholeFeeds(settings, phase, { count: batch, length });
    const of: Record<string, Values[string]> = {};
    const pixels = [...Object.keys(imageFeeds(settings, count, length)), ...(kept ? ['pictures'] : [])];
    const names = ['tokens', ...pixels, ...Object.keys(shared)];
    for (let i = 0; i < accumulate; i++) {
      const part = yield { first: i * count, count, names, last: false };
      for (const [name, { shape, dtype }] of Object.entries(shared)) {
        of[name] ??= new (dtype === 'int32' ? Int32Array : Float32Array)(shape.reduce((a, b) => a * b, 1));
        of[name].set(part[name]!, (i * of[name].length) / accumulate);
      }
      const rows = program.run(named('embed', length), part);
      z.images.set(kept ? kept.of(part, count) : rows.images!, (i * size) / accumulate);
      z.texts.set(rows.texts!, (i * size) / accumulate);
    }
    const outputs = program.run(named('contrast', length), { ...z, ...of });
    const { loss: value, images, texts: dTexts, [unitTexts]: unit, ...reported } = outputs;
    texts = unit as Float32Array | undefined;
    loss += value![0]!;
    for (const [key, values] of Object.entries(reported)) objectives[key] = values[0]!;
    // Losses that are means over examples read kept embeddings once more.
    d = { dImages: images!, dTexts: dTexts!, ...(kept && { imageFeatures: z.images }) };
  }
  // Scale and bias alone have their gradients of the whole batch.
  const backwards = program.has(named('backward', length)) ? accumulate : 0;
  for (let i = 0; i < backwards; i++) {
    const part = yield { first: i * count, count, last: true };
    const rows = rowsOf(d, i * count, count, batch);
    const { value: _, ...reported } = program.run(named('backward', length), { ...part, ...rows });
    for (const [key, values] of Object.entries(reported)) {
      objectives[key] = (objectives[key] ?? 0) + values[0]! / accumulate;
    }
  }
  for (const { name, objective, settings: own } of phase.objectives) {
    if (objective.wholeBatch === undefined) loss += own.weight * objectives[lossOf(name)]!;
  }
  const { gradientNorm } = program.run(named('update', length), scalars);
  return { loss, objectives, ...clippedBy(settings, gradientNorm![0]!), ...(texts && { texts }) };
}

const clippedBy = ({ optimizer }: PhaseSettings, gradientNorm: number) => ({
  gradientNorm,
  clipped: gradientNorm > Math.fround(optimizer.clipNorm) ? 1 : 0,
});

/** Rows of arrays of `of` rows: those of an example lie together in every one. */
function rowsOf(arrays: Values, first: number, count: number, of: number): Values {
  const part = (all: Values[string]) => all.subarray((first * all.length) / of, ((first + count) * all.length) / of);
  return Object.fromEntries(Object.entries(arrays).map(([name, all]) => [name, part(all)]));
}
