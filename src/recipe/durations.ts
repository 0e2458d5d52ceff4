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

/** The lengths of a recipe in examples; null where the size of the data set is needed and not known. */
export function recipeLengths(recipe: Recipe, epoch?: number) {
  const facts = { batch: recipe.phases[0]!.batch, epoch };
  const total = examplesOf(recipe.schedule.total, facts);
  const within = { ...facts, total: total ?? undefined };
  const windows: Window[] = [];
  for (const phase of recipe.phases) {
    const own = { ...within, batch: phase.batch };
    const { from, to } = phase.window;
    const parent = windows[recipe.phases.findIndex(({ name }) => name === phase.from)];
    windows.push({
      from: from === undefined ? (parent ? parent.to : 0) : examplesOf(from, own),
      to: examplesOf(to, own),
    });
  }
  return { total, warmup: examplesOf(recipe.schedule.warmup, within), windows };
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
