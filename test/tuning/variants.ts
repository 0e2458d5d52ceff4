import type { taskRecipe } from '../../src/recipe/tasks.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { type ComparedRecipe, shortened } from '../rounds/variants.ts';
import { placeOf, type SetName } from './data.ts';

/** By the task of `recipe new` that each is. Those that are guarded end when the model forgets more than is allowed. */
export const methods = {
  ...({ full: 'finetune', lit: 'lit', lora: 'lora' } as const),
  ...({ 'full-guard': 'finetune', 'lit-guard': 'lit', 'lora-guard': 'lora' } as const),
};
export type Method = keyof typeof methods;
const isGuarded = (method: Method) => method.endsWith('-guard');

/** One way to fine-tune. */
export interface Variant {
  readonly method: Method;
  /** What the rate of `recipe new` is multiplied by. */
  readonly times: number;
}

/** Every method at every rate; those with a guard at the highest alone, at which there is most to guard. */
export function variantsOf(names: readonly string[], rates: readonly number[]): Variant[] {
  const all = rates.flatMap((times) => (names as Method[]).map((method) => ({ method, times })));
  return all.filter(({ method, times }) => !isGuarded(method) || times === Math.max(...rates));
}

/** As much of a recipe as is changed. */
export interface BaseRecipe extends ComparedRecipe {
  readonly data: { readonly evaluation?: string };
  readonly phases: readonly { readonly name: string; readonly batch: number }[];
}

const task = (name: string, set: SetName) => ({
  ...{ version: 1, name, data: placeOf(set), languages: ['en'] },
  evaluators: { zeroShot: {}, retrieval: {} },
});
/** What a model can in both. */
export const tasks = [task('new', 'new/test'), task('old', 'old/test')];
const guarded = { task: 'reference', evaluator: 'zeroShot', figure: 'by_language.en.top1', action: 'end' };

// The same for all: which is quicker would be measured beside other work.
const precision = 'f32';

/** The model that all go on from: the recipe on the old styles. RecipeInvalid where it has more than one phase. */
export function baseRecipe<R extends BaseRecipe>(recipe: R, steps: number): object {
  if (recipe.phases.length !== 1)
    throw new RunnerError('RecipeInvalid', `the recipe has ${recipe.phases.length} phases; one is gone on from`);
  const { evaluation: _, ...data } = recipe.data;
  return {
    ...shortened(recipe, steps),
    precision,
    data: { ...data, train: placeOf('old/train') },
    evaluate: { tasks },
  };
}

/**
 * What `recipe new` wrote for a method, with the texts and the augmentation that the model was trained with, at the rate of
 * the variant and for so many steps.
 *
 * @param fall what the guard allows; null: no figure is taken, as to measure the time of a step
 */
export function tunedRecipe(
  written: ReturnType<typeof taskRecipe>,
  base: BaseRecipe,
  { method, times }: Variant,
  { steps, seed, fall }: { readonly steps: number; readonly seed: number; readonly fall: number | null },
): object {
  const { evaluation: _, ...data } = { ...base.data, ...written.data };
  const every = { steps: Math.max(1, Math.ceil(steps / 8)) };
  const guard = { every, guard: { ...guarded, fall }, tasks: [...tasks, task('reference', 'old/reference')] };
  return {
    ...written,
    seed,
    precision,
    data,
    optimizer: { ...written.optimizer, learningRate: written.optimizer.learningRate * times },
    schedule: { ...written.schedule, total: { steps } },
    checkpoint: { every, shard: every },
    ...(fall !== null && { evaluate: isGuarded(method) ? guard : { tasks } }),
  };
}
