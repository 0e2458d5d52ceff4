import { parameterCount, parameterSpecs, tokenTable } from '../model/parameters.ts';
import { fullVocabulary } from '../model/sizes.ts';
import type { Recipe } from './schema.ts';
import { type DataFacts, modelConfig } from './settings.ts';
import { cuts } from './shards.ts';
import { phaseSpans } from './spans.ts';

/** What a recipe will take, as far as it can be known before a step is made. */
export interface Estimate {
  /** Trained parameters. */
  readonly parameters: number;
  readonly bytesPerCheckpoint: number;
  readonly phases: readonly {
    readonly name: string;
    readonly steps: number;
    readonly examples: number;
    readonly epochs: number | null;
    readonly shards: number;
    readonly checkpoints: number;
    readonly bytes: number;
  }[];
}

/** @param facts null while the data is not known; then a compact table counts as full, and epochs are unknown */
export function estimate(recipe: Recipe, facts: DataFacts | null): Estimate {
  const config = modelConfig(recipe, facts?.vocabulary ?? null);
  const parameters = parameterCount(config);
  const table = parameterSpecs(config).find(({ name }) => name === tokenTable)!;
  const rowWidth = table.shape[1]!;
  // The model with all rows of the table, and two moments of what is trained; headers are a few kilobytes.
  const bytesPerCheckpoint = 4 * (parameters + (fullVocabulary - table.shape[0]!) * rowWidth) + 8 * parameters;
  const spans = phaseSpans(recipe, facts ?? {});
  const { every, shard } = recipe.checkpoint;
  return {
    parameters,
    bytesPerCheckpoint,
    phases: recipe.phases.map(({ name }, i) => {
      const { from, to, branches } = spans[i]!;
      const cutBy = (size: number) => cuts(from.step, to.step, size, branches);
      const checkpoints = new Set([...cutBy(every.steps), ...cutBy(shard.steps)]).size;
      const examples = to.examples - from.examples;
      return {
        name,
        steps: to.step - from.step,
        examples,
        epochs: facts ? examples / facts.examples : null,
        shards: cutBy(shard.steps).length,
        checkpoints,
        bytes: checkpoints * bytesPerCheckpoint,
      };
    }),
  };
}
