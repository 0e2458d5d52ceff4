import { Command, InvalidArgumentError, Option } from 'commander';
import { momentsKinds, negativesKinds } from '../../src/recipe/replicas.ts';

/** A run is made of every combination. */
export interface RoundsOptions {
  readonly replicas: readonly number[];
  readonly roundSteps: readonly number[];
  readonly exchange: readonly string[];
  readonly moments: readonly string[];
  readonly negatives: readonly string[];
  readonly seeds: number;
  /** `each`: a replica has the recipe's batch and makes one of R of its steps; `shared`: one of R of the batch, and all steps. */
  readonly batch: 'each' | 'shared';
  readonly recipe: string;
  /** Of the recipe, in place of its own; a quarter of them warms up at most. */
  readonly steps?: number;
  readonly json?: string;
}

function whole(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError(`${text} is no whole number from 1.`);
  return number;
}
const wholes = (text: string) => text.split(',').map(whole);

const oneOf = (allowed: readonly string[]) => (text: string) => {
  const words = text.split(',');
  if (words.some((word) => !allowed.includes(word)))
    throw new InvalidArgumentError(`Allowed are ${allowed.join(', ')}, with commas between them.`);
  return words;
};

/** The command line of `npm run rounds`. */
export const roundsProgram = () =>
  new Command('npm run rounds --')
    .description(
      'Trains a recipe on emoji as often as there are combinations of what follows, on as many examples each, and compares what comes of it.',
    )
    .option('--replicas <numbers>', 'how many replicas; 1 is the phase without rounds', wholes, [1, 2, 4, 8])
    .option('--round-steps <numbers>', 'steps of a replica in a round', wholes, [50])
    .option('--exchange <kinds>', 'how changes are written', oneOf(['f32', 'bf16', 'int8', 'int4']), ['int8'])
    .option('--moments <kinds>', 'where moments begin in a round', oneOf(momentsKinds), ['averaged'])
    .option('--negatives <kinds>', 'pairs of the loss', oneOf(negativesKinds), ['local'])
    .option('--seeds <number>', 'of each combination', whole, 1)
    .addOption(
      new Option('--batch <how>', "each: a replica has the recipe's batch; shared: its part of it")
        .choices(['each', 'shared'])
        .default('each'),
    )
    .option('--recipe <file>', 'recipe of one phase for the emoji data', 'infra/recipes/emoji.json')
    .option('--steps <number>', 'steps of the recipe, in place of its own', whole)
    .option('--json <file>', 'also write the figures to a file, and train what it has none of');
