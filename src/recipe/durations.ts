import type { Position } from '../checkpoint/types.ts';
import type { Duration, Recipe } from './schema.ts';

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

/** The lengths of a recipe in examples; null where the size of the data set is needed and not known. */
export function recipeLengths(recipe: Recipe, epoch?: number) {
  const facts = { batch: recipe.phases[0]!.batch, epoch };
  const total = examplesOf(recipe.schedule.total, facts);
  const within = { ...facts, total: total ?? undefined };
  return {
    total,
    warmup: examplesOf(recipe.schedule.warmup, within),
    windows: recipe.phases.map(({ window, batch }) => ({
      from: examplesOf(window.from, { ...within, batch }),
      to: examplesOf(window.to, { ...within, batch }),
    })),
  };
}

/**
 * Where a phase starts and ends, in whole steps: what is left over at the end of a window is not trained on. A stretched
 * phase takes `stretch` examples for each of its window.
 */
export function phaseSpan(window: { from: number; to: number }, batch: number, start: Position, stretch = 1) {
  const steps = Math.floor(((window.to - window.from) * stretch) / batch);
  return { from: start, to: { step: start.step + steps, examples: start.examples + steps * batch } };
}
