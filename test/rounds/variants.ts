import { RunnerError } from '../../src/runtime/errors.ts';
import type { RoundsOptions } from './arguments.ts';

/** One combination; of one replica what is said of rounds says nothing. */
export interface Variant {
  readonly replicas: number;
  readonly roundSteps: number;
  readonly exchange: string;
  readonly moments: string;
  readonly negatives: string;
  /** Rate and momentum of the outer optimiser. */
  readonly outer: string;
}

/** What `0.7/0.9` says. */
export function outerOf(text: string): { readonly rate: number; readonly momentum: number } {
  const [rate, momentum] = text.split('/').map(Number);
  return { rate: rate ?? Number.NaN, momentum: momentum ?? Number.NaN };
}

/** As much of a recipe as is changed. */
export interface ComparedRecipe {
  readonly precision?: string;
  readonly schedule: { readonly total: { readonly steps: number }; readonly warmup: { readonly steps: number } };
  readonly checkpoint: object;
  readonly phases: readonly { readonly name: string; readonly batch: number }[];
}

/** The phase that follows: it changes no bit of an f32, and its losses are those of the model, at one batch for all variants. */
export const look = 'look';
const looks = 16;

type Lists = Pick<RoundsOptions, 'replicas' | 'roundSteps' | 'exchange' | 'moments' | 'negatives' | 'outer'>;

/** Every combination, those of fewer replicas first; the phase without rounds once. */
export function variantsOf({ replicas, roundSteps, exchange, moments, negatives, outer }: Lists): Variant[] {
  const lists = { replicas, roundSteps, exchange, moments, negatives, outer };
  const all = Object.entries<readonly (number | string)[]>(lists).reduce<object[]>(
    (some, [name, values]) => some.flatMap((one) => values.map((value) => ({ ...one, [name]: value }))),
    [{}],
  ) as Variant[];
  return all.filter(({ replicas: number }, i) => number > 1 || all.findIndex((one) => one.replicas === 1) === i);
}

/**
 * The recipe of a variant, on as many examples as all others. RecipeInvalid where a batch can't be shared among so many.
 *
 * @param batch `each`: all steps together are those of the recipe, each replica makes its part of them. `shared`: each makes
 *   as many as the recipe has, on its part of the batch.
 */
export function recipeOf<R extends ComparedRecipe>(recipe: R, of: Variant, batch: 'each' | 'shared'): R {
  const { replicas: number, roundSteps: steps, exchange, moments, negatives, outer } = of;
  const [phase] = recipe.phases;
  const parts = batch === 'shared' ? number : 1;
  if (recipe.phases.length !== 1 || !phase)
    throw new RunnerError('RecipeInvalid', `the recipe has ${recipe.phases.length} phases; one is compared`);
  if (phase.batch % parts !== 0)
    throw new RunnerError('RecipeInvalid', `a batch of ${phase.batch} can't be shared among ${parts} replicas`);
  const { total, warmup } = recipe.schedule;
  const times = ({ steps: count }: { readonly steps: number }) => ({ steps: Math.ceil(count) * parts });
  const rounds =
    number === 1 ? {} : { replicas: { number, steps, exchange, moments, negatives, outer: outerOf(outer) } };
  return {
    ...recipe,
    // What is measured on the way could come out otherwise for one of them.
    precision: recipe.precision === 'bf16' ? 'bf16' : 'f32',
    schedule: { ...recipe.schedule, total: times(total), warmup: times(warmup) },
    // Checkpoints are compared at the end alone: a round makes its own.
    checkpoint: { every: times({ steps: total.steps / 4 }), shard: times({ steps: total.steps / 4 }) },
    phases: [
      { ...phase, batch: phase.batch / parts, ...rounds },
      {
        ...{ ...phase, name: look, from: phase.name },
        data: { augment: { scale: [1, 1], shift: 0 } },
        optimizer: { learningRate: 1e-12, weightDecay: 0 },
        schedule: { total: { steps: looks }, shape: 'constant' },
      },
    ],
  };
}

/** The recipe on fewer steps, or more, of which a quarter at most warms up. */
export function shortened<R extends ComparedRecipe>(recipe: R, steps: number): R {
  const { warmup } = recipe.schedule;
  const warm = { steps: Math.min(warmup.steps, Math.floor(steps / 4)) };
  return { ...recipe, schedule: { ...recipe.schedule, total: { steps }, warmup: warm } };
}
