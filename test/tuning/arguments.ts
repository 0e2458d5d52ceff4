import { Command, InvalidArgumentError } from 'commander';
import { above, list, oneOf, share, whole } from '../support/option-values.ts';
import { methods } from './variants.ts';

export interface TuningOptions {
  readonly seconds: number;
  /** Of each way; absent: as many as fit the seconds. */
  readonly steps?: number;
  readonly baseSteps: number;
  readonly seeds: number;
  readonly methods: readonly string[];
  /** Multiples of the rate of `recipe new`. */
  readonly rates: readonly number[];
  /** Shares of the model after in its mean with the one before. */
  readonly ratios: readonly number[];
  readonly fall: number;
  /** Tokens of a text before and after; absent: positions are not what is compared. */
  readonly stretch?: readonly [number, number];
  readonly recipe: string;
  readonly json?: string;
}

/** Both are checked with the recipes that have them. */
function twoLengths(text: string): [number, number] {
  const [before, after, ...more] = text.split(',').map(whole);
  if (before !== undefined && after !== undefined && after > before && more.length === 0) return [before, after];
  throw new InvalidArgumentError(`${text} is no two lengths, the second above the first, such as 64,256.`);
}

/** The command line of `npm run tuning`. */
export const tuningProgram = () =>
  new Command('npm run tuning --')
    .description(
      'Trains a recipe on five styles of emoji, fine-tunes the model on a sixth in several ways for equal times, and compares them.',
    )
    .option(
      '--seconds <number>',
      'of steps that each way has, by the time that a step of it was measured to take',
      above,
      60,
    )
    .option('--steps <number>', 'of each way, in place of those that fit the seconds', whole)
    .option('--base-steps <number>', 'steps of the model that they go on from', whole, 400)
    .option('--seeds <number>', 'of the fine-tuning; the model that is gone on from is the same', whole, 1)
    .option(
      '--methods <names>',
      Object.keys(methods).join(', '),
      list(oneOf(Object.keys(methods))),
      Object.keys(methods),
    )
    .option('--rates <numbers>', 'multiples of the rate of recipe new', list(above), [1, 10])
    .option(
      '--ratios <list>',
      'also means of the model before and each one after, with such shares of the second: 0,0.25,0.5,0.75,1',
      list(share),
      [],
    )
    .option('--fall <share>', 'how far the guard lets top-1 on the old styles fall', above, 0.02)
    .option(
      '--stretch <lengths>',
      'compare, in place of ways to fine-tune, those to stretch positions of texts: tokens before and after, such as 64,256',
      twoLengths,
    )
    .option('--recipe <file>', 'recipe of one phase for the emoji data', 'infra/recipes/emoji.json')
    .option('--json <file>', 'also write the figures to a file, after each run');
