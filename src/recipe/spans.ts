import { superBatch } from './curation.ts';
import { type EpochFacts, naflexOf, parentOf, recipeLengths } from './durations.ts';
import { own } from './own.ts';
import type { Position } from './position.ts';
import type { Phase, Recipe } from './schema.ts';
import { PhaseSteps } from './steps.ts';

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

export interface SpanFacts extends EpochFacts {
  readonly origins?: Readonly<Record<string, Position>> | undefined;
}

/**
 * Every phase of a recipe in whole steps; what is left over at the end of a window is not trained on. A stretched
 * phase takes `stretch` examples for each of its window. A phase branches off at the last whole step of its parent
 * before its window begins; one with a schedule of its own goes on from its parent's end.
 * @param facts how many examples an epoch has, and where the checkpoints of other runs stand, by the phase that goes on
 * from them: what is not known counts from nothing
 */
export function phaseSpans(recipe: Recipe, facts: SpanFacts = {}): PhaseSpan[] {
  const { windows } = recipeLengths(recipe, facts);
  const spans: (PhaseSpan & { branches: number[] })[] = [];
  for (const [i, phase] of recipe.phases.entries()) {
    const from = windows[i]!.from ?? 0;
    const length = Math.max(0, (windows[i]!.to ?? from) - from);
    const parent = parentOf(recipe, phase);
    const above = parent && spans[recipe.phases.indexOf(parent)];
    let start = own(facts.origins, phase.name) ?? { step: 0, examples: 0 };
    let position = from;
    if (parent && above) {
      const steps = stepsOf(recipe, parent);
      const most = above.to.step - above.from.step;
      const before = phase.schedule ? most : steps.within((from - above.position) * parent.stretch);
      start = advanced(above.from, steps, Math.min(before, most));
      if (!phase.schedule) position = above.position + (start.examples - above.from.examples) / parent.stretch;
      above.branches.push(start.step);
    }
    const steps = stepsOf(recipe, phase);
    const to = advanced(start, steps, steps.within(length * phase.stretch));
    spans.push({ from: start, to, position, branches: [] });
  }
  return spans.map((span) => ({ ...span, branches: [...new Set(span.branches)].sort((a, b) => a - b) }));
}

/** Which examples the steps of a phase take. */
export function stepsOf(recipe: Recipe, phase: Phase): PhaseSteps {
  const { name, batch, curation } = phase;
  const candidates = curation && superBatch(curation, batch);
  return new PhaseSteps({ seed: recipe.seed, phase: name, batch, candidates, naflex: naflexOf(recipe, phase) });
}

const advanced = ({ step, examples }: Position, of: PhaseSteps, steps: number): Position => {
  return { step: step + steps, examples: examples + of.seenBefore(steps) };
};
