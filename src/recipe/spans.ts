import type { Position } from '../checkpoint/types.ts';
import { parentOf, recipeLengths } from './durations.ts';
import type { Recipe } from './schema.ts';

/** Where a phase stands in its run: what is trained on, and the part of the schedule that goes by meanwhile. */
export interface PhaseSpan {
  /** Steps and examples count on from the checkpoint that the phase starts from. */
  readonly from: Position;
  readonly to: Position;
  /** Where `from` is on the schedule, in examples of it. */
  readonly position: number;
  /** Steps at which other phases branch off: a checkpoint is kept there. */
  readonly branches: readonly number[];
}

export interface SpanFacts {
  readonly examples?: number | undefined;
  readonly origins?: Readonly<Record<string, Position>> | undefined;
}

/**
 * Every phase of a recipe in whole steps; what is left over at the end of a window is not trained on. A stretched
 * phase takes `stretch` examples for each of its window. A phase branches off at the last whole step of its parent
 * before its window begins.
 * @param facts how many examples an epoch has, and where the checkpoints of other runs stand, by the phase that goes on
 * from them: what is not known counts from nothing
 */
export function phaseSpans(recipe: Recipe, facts: SpanFacts = {}): PhaseSpan[] {
  const { windows } = recipeLengths(recipe, facts.examples);
  const spans: (PhaseSpan & { branches: number[] })[] = [];
  for (const [i, phase] of recipe.phases.entries()) {
    const from = windows[i]!.from ?? 0;
    const length = Math.max(0, (windows[i]!.to ?? from) - from);
    const parent = parentOf(recipe, phase);
    const above = parent && spans[recipe.phases.indexOf(parent)];
    let start = facts.origins?.[phase.name] ?? { step: 0, examples: 0 };
    let position = from;
    if (parent && above) {
      const steps = stepsWithin(from - above.position, parent.batch, parent.stretch);
      start = advanced(above.from, Math.min(steps, above.to.step - above.from.step), parent.batch);
      position = above.position + (start.examples - above.from.examples) / parent.stretch;
      above.branches.push(start.step);
    }
    const to = advanced(start, stepsWithin(length, phase.batch, phase.stretch), phase.batch);
    spans.push({ from: start, to, position, branches: [] });
  }
  return spans.map((span) => ({ ...span, branches: [...new Set(span.branches)].sort((a, b) => a - b) }));
}

/** Whole steps that fit; lengths of the schedule may be a hair below a whole number after a division. */
const stepsWithin = (length: number, batch: number, stretch: number) => Math.floor((length * stretch) / batch + 1e-9);

const advanced = ({ step, examples }: Position, steps: number, batch: number): Position => {
  return { step: step + steps, examples: examples + steps * batch };
};
