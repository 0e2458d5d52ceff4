import { type PositionStretch, positionStretches } from '../../src/model/stretch-positions.ts';
import { taskRecipe } from '../../src/recipe/tasks.ts';
import type { ComparedRecipe } from '../rounds/variants.ts';
import { kinds, longerPlaceOf } from './longer-data.ts';
import { meanCell } from './means.ts';
import { baseRecipe } from './variants.ts';

/** A way to make texts longer; `none`: they stay as long as they were, and are trained on alike. */
export const stretches = ['none', ...positionStretches] as const;
export type Stretch = (typeof stretches)[number];

/** As much of a recipe as is changed. */
export interface StretchedRecipe extends ComparedRecipe {
  readonly model: { readonly text: object };
  readonly data: object;
  readonly phases: readonly { readonly name: string; readonly batch: number }[];
}

export const longerTask = {
  ...{ version: 1, name: 'longer', data: longerPlaceOf('old/test'), languages: Object.values(kinds) },
  evaluators: { zeroShot: {}, retrieval: {} },
};

/** Both kinds of texts, as often. */
const captions = Object.values(kinds).map((language) => ({ language, weight: 1 }));
const data = { train: longerPlaceOf('old/train'), captions, labelShare: 0 };

/** The model that all go on from: a recipe of one phase on texts of `length` tokens. RecipeInvalid where it has more phases. */
export function shortRecipe<R extends StretchedRecipe>(recipe: R, steps: number, length: number): object {
  const base = baseRecipe(recipe, steps) as R;
  return {
    ...base,
    model: { ...recipe.model, text: { ...recipe.model.text, length } },
    data: { ...base.data, ...data },
    evaluate: { tasks: [longerTask] },
  };
}

/**
 * What `recipe new --task long` writes, with the pictures of the model that is gone on from.
 *
 * @param steps 0: one step at next to no rate, which leaves the model as the stretching made it
 */
export function stretchedRecipe(
  recipe: StretchedRecipe,
  how: Stretch,
  { length, steps, seed }: { readonly length: number; readonly steps: number; readonly seed: number },
): object {
  const [phase] = recipe.phases;
  const from = { run: 'base', phase: phase!.name };
  const written = taskRecipe({ task: 'long', from, train: data.train, batch: 64 });
  const [{ text: _, ...own }] = written.phases as unknown as [{ readonly text: object }];
  const text = how === 'none' ? {} : { text: { length, positions: how satisfies PositionStretch } };
  const every = { steps: Math.max(1, steps) };
  const { evaluation: __, ...before } = recipe.data as { readonly evaluation?: string };
  return {
    ...written,
    seed,
    precision: 'f32',
    data: { ...before, ...written.data, ...data },
    ...(steps === 0 && { optimizer: { ...written.optimizer, learningRate: 1e-12 } }),
    schedule: { ...written.schedule, total: every },
    phases: [{ ...own, ...text }],
    checkpoint: { every, shard: every },
    evaluate: { tasks: [longerTask] },
  };
}

const figures = {
  'short top-1': ['zeroShot', `by_language.${kinds.short}.top1`],
  'short R@1': ['retrieval', `by_language.${kinds.short}.text_to_image.r1`],
  'long R@1': ['retrieval', `by_language.${kinds.long}.text_to_image.r1`],
  'long R@5': ['retrieval', `by_language.${kinds.long}.text_to_image.r5`],
} as const;
type FigureName = keyof typeof figures;
export const stretchFigures = Object.entries(figures) as [FigureName, (typeof figures)[FigureName]][];

/** What a stretching came to; of the model before it there is none. */
export interface Stretched {
  readonly how: Stretch | null;
  readonly seed: number;
  readonly steps: number;
  readonly figures: Readonly<Record<string, number>>;
}

/** Means over seeds as a table in Markdown, and in brackets the lowest and the highest where they differ. */
export function stretchTable(all: readonly Stretched[]): string {
  const nameOf = ({ how, steps }: Stretched) => `${how ?? 'before'} | ${steps}`;
  const rows = [...new Set(all.map(nameOf))].map((name) => {
    const own = all.filter((one) => nameOf(one) === name);
    const cells = stretchFigures.map(([figure]) => meanCell(own.map((one) => one.figures[figure]!)));
    return `| ${[name, ...cells].join(' | ')} |`;
  });
  const titles = stretchFigures.map(([figure]) => figure).join(' | ');
  return [`| positions | steps | ${titles} |`, '|---|---|---|---|---|---|', ...rows].join('\n');
}
