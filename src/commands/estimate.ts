import { tokenTable } from '../model/parameters.ts';
import { fullVocabulary } from '../model/sizes.ts';
import { epochOf } from '../recipe/durations.ts';
import type { Recipe } from '../recipe/schema.ts';
import { type DataFacts, phaseSettings } from '../recipe/settings.ts';
import { cuts } from '../recipe/shards.ts';
import { phaseSpans } from '../recipe/spans.ts';
import { phaseState } from '../train/phase-state.ts';

/** What a recipe will take, as far as it can be known before a step is made. */
export interface Estimate {
  readonly phases: readonly PhaseEstimate[];
}

export interface PhaseEstimate {
  readonly name: string;
  /** Trained parameters: the towers, and what the objectives add. */
  readonly parameters: number;
  readonly bytesPerCheckpoint: number;
  readonly steps: number;
  readonly examples: number;
  readonly epochs: number | null;
  readonly shards: number;
  readonly checkpoints: number;
  readonly bytes: number;
}

const size = ({ shape }: { readonly shape: readonly number[] }) => shape.reduce((a, b) => a * b, 1);
const total = (of: readonly { readonly shape: readonly number[] }[]) => of.reduce((sum, one) => sum + size(one), 0);

/** @param facts null while the data is not known; then a compact table counts as full, and epochs are unknown */
export function estimate(recipe: Recipe, facts: DataFacts | null): Estimate {
  const spans = phaseSpans(recipe, facts ?? {});
  const { every, shard } = recipe.checkpoint;
  return {
    phases: recipe.phases.map((phase, i): PhaseEstimate => {
      const { parameters, pieces } = phaseState(
        phaseSettings(recipe, phase, facts ?? { examples: 0, vocabulary: null }),
      );
      const [rows, width] = pieces[tokenTable]!.shape as [number, number];
      // All of the state in f32, and the token table whole; headers are a few kilobytes.
      const bytesPerCheckpoint = 4 * (total(Object.values(pieces)) + (fullVocabulary - rows) * width);
      const { from, to, branches } = spans[i]!;
      const cutBy = (size: number) => cuts(from.step, to.step, size, branches);
      const checkpoints = new Set([...cutBy(every.steps), ...cutBy(shard.steps)]).size;
      const examples = to.examples - from.examples;
      return {
        name: phase.name,
        parameters: total(parameters),
        bytesPerCheckpoint,
        steps: to.step - from.step,
        examples,
        epochs: facts ? examples / (epochOf(facts, phase) ?? facts.examples) : null,
        shards: cutBy(shard.steps).length,
        checkpoints,
        bytes: checkpoints * bytesPerCheckpoint,
      };
    }),
  };
}
