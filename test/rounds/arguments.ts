import { Command, InvalidArgumentError, Option } from 'commander';
import { momentsKinds, negativesKinds } from '../../src/recipe/replicas.ts';
import { list, oneOf, whole } from '../support/option-values.ts';
import { outerOf } from './variants.ts';

/** What is allowed the recipe's own check says. */
function outerPair(text: string): string {
  const { rate, momentum } = outerOf(text);
  if (!(rate > 0 && momentum >= 0 && momentum < 1))
    throw new InvalidArgumentError('a rate above 0 and a momentum from 0 to below 1 are allowed, such as 0.7/0.9');
  return text;
}

/** A run is made of every combination. */
export interface RoundsOptions {
  readonly replicas: readonly number[];
  readonly roundSteps: readonly number[];
  readonly exchange: readonly string[];
  readonly moments: readonly string[];
  readonly negatives: readonly string[];
  /** Rate and momentum, such as 0.7/0.9. */
  readonly outer: readonly string[];
  readonly seeds: number;
  /** `each`: a replica has the recipe's batch and makes one of R of its steps; `shared`: one of R of the batch, and all steps. */
  readonly batch: 'each' | 'shared';
  readonly recipe: string;
  /** Of the recipe, in place of its own; a quarter of them warms up at most. */
  readonly steps?: number;
  readonly inProcess: boolean;
  readonly json?: string;
}

/** The command line of `npm run rounds`. */
export const roundsProgram = () =>
  new Command('npm run rounds --')
    .description(
      'Trains a recipe on emoji as often as there are combinations of what follows, on as many examples each, and compares what comes of it.',
    )
    .option('--replicas <numbers>', 'how many replicas; 1 is the phase without rounds', list(whole), [1, 2, 4, 8])
    .option('--round-steps <numbers>', 'steps of a replica in a round', list(whole), [50])
    .option('--exchange <kinds>', 'how changes are written', list(oneOf(['f32', 'bf16', 'int8', 'int4'])), ['int8'])
    .option('--moments <kinds>', 'where moments begin in a round', list(oneOf(momentsKinds)), ['averaged'])
    .option('--negatives <kinds>', 'pairs of the loss', list(oneOf(negativesKinds)), ['local'])
    .option('--outer <pairs>', 'rate and momentum of the outer optimiser', list(outerPair), ['0.7/0.9'])
    .option('--seeds <number>', 'of each combination', whole, 1)
    .addOption(
      new Option('--batch <how>', "each: a replica has the recipe's batch; shared: its part of it")
        .choices(['each', 'shared'])
        .default('each'),
    )
    .option('--recipe <file>', 'recipe of one phase for the emoji data', 'infra/recipes/emoji.json')
    .option('--steps <number>', 'steps of the recipe, in place of its own', whole)
    .option('--in-process', 'lanes one after another in this process, without a store between: f32 alone', false)
    .option('--json <file>', 'also write the figures to a file, and train what it has none of');
