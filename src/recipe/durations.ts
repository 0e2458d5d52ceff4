import { own } from './own.ts';
import type { Duration, Phase, Recipe } from './schema.ts';
import type { NaflexBatches } from './steps.ts';

/** What a duration may refer to. Unknown: the recipe is checked before the data has been looked at. */
export interface DurationFacts {
  /** Examples of a step. */
  readonly batch: number;
  /** Examples of an epoch. */
  readonly epoch?: number | undefined;
  /** Examples of the whole schedule, for percents. */
  readonly total?: number | undefined;
}

/** A duration in examples, or null when it needs a fact that is not known. */
export function examplesOf(duration: Duration, facts: DurationFacts): number | null {
  if ('steps' in duration) return duration.steps * facts.batch;
  if ('examples' in duration) return duration.examples;
  const whole = 'epochs' in duration ? facts.epoch : facts.total;
  if (whole === undefined) return null;
  return Math.round('epochs' in duration ? duration.epochs * whole : (duration.percent / 100) * whole);
}

/** The part of the schedule that a phase covers, in examples of the schedule; null where a fact is not known. */
export interface Window {
  readonly from: number | null;
  readonly to: number | null;
}

/** How many examples there are to train on, where that is known. */
export interface EpochFacts {
  /** Below `data.train` of the recipe. */
  readonly examples?: number | undefined;
  /** Of phases with other data, by name. */
  readonly phaseExamples?: Readonly<Record<string, number>> | undefined;
}

/** Examples of an epoch of a phase. */
export const epochOf = ({ examples, phaseExamples }: EpochFacts, { name, data }: Phase): number | undefined =>
  (data?.train ?? data?.mixture ?? data?.read) === undefined ? examples : own(phaseExamples, name);

/** A schedule in examples of it; null where a fact is not known. */
export interface ScheduleLengths {
  readonly total: number | null;
  readonly warmup: number | null;
  readonly shape: 'cosine' | 'constant';
}

/**
 * The schedule that each phase follows and the window of it that it covers, in examples; null where the size of a data
 * set is needed and not known.
 */
export function recipeLengths(recipe: Recipe, epochs: EpochFacts = {}) {
  const lengths = (schedule: Phase['schedule'] & {}, phase: Phase): ScheduleLengths => {
    const facts = { batch: phase.batch, epoch: epochOf(epochs, phase) };
    const total = examplesOf(schedule.total, facts);
    const warmup = examplesOf(schedule.warmup, { ...facts, total: total ?? undefined });
    return { total, warmup, shape: schedule.shape };
  };
  const first = lengths({ ...recipe.schedule, shape: 'cosine' }, recipe.phases[0]!);
  const windows: Window[] = [];
  const schedules: ScheduleLengths[] = [];
  for (const phase of recipe.phases) {
    const above = recipe.phases.findIndex(({ name }) => name === phase.from);
    const own = phase.schedule ? lengths(phase.schedule, phase) : (schedules[above] ?? first);
    schedules.push(own);
    const facts = { batch: phase.batch, epoch: epochOf(epochs, phase), total: own.total ?? undefined };
    const { from, to } = phase.window;
    const goesOn = phase.schedule ? undefined : windows[above];
    windows.push({
      from: from === undefined ? (goesOn ? goesOn.to : 0) : examplesOf(from, facts),
      to: examplesOf(to, facts),
    });
  }
  return { total: first.total, warmup: first.warmup, schedules, windows };
}

/** The phase of the same recipe that a phase goes on from. */
export function parentOf(recipe: Recipe, { from }: Phase): Phase | undefined {
  return typeof from === 'string' ? recipe.phases.find(({ name }) => name === from) : undefined;
}

/** How a phase batches images of any shape, undefined for squares: as it says, or as the phase that it goes on from. */
export function naflexOf(recipe: Recipe, phase: Phase): NaflexBatches | undefined {
  const parent = parentOf(recipe, phase);
  return phase.vision.naflex ?? (parent && naflexOf(recipe, parent));
}
