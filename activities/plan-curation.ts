import { type Borrowed, teacherOf } from '../src/checkpoint/borrowed.ts';
import type { CurationRecipe } from '../src/recipe/curation.ts';
import type { HeldModel } from '../src/recipe/models.ts';
import type { Phase, Recipe } from '../src/recipe/schema.ts';
import { type DataFacts, dataOf, modelConfig, vocabularyOf } from '../src/recipe/settings.ts';
import { languagesOf } from '../src/recipe/sources.ts';
import type { CurationPlan } from './types/plan.ts';

/** Whose scores a phase chooses by, and what of the data is to be scored. */
export function planCuration(
  recipe: Recipe,
  phase: Phase,
  { teacher, scoring, scores, dtype }: CurationRecipe,
  facts: DataFacts,
  borrowed: Borrowed,
  held: ReadonlyMap<string, HeldModel>,
  shards: number,
): CurationPlan {
  const checkpoint = borrowed[teacherOf(phase.name)];
  const own = typeof teacher === 'string' ? recipe.phases.find(({ name }) => name === teacher) : undefined;
  const data = dataOf(recipe, phase);
  const sourceLanguages = data.mixture?.map(({ languages, captions = data.captions }) =>
    (languages ?? captions).map(({ language }) => language),
  );
  return {
    teacher: checkpoint ? { checkpoint } : { phase: teacher as string },
    model: held.get(teacherOf(phase.name))?.model ?? modelConfig(recipe, vocabularyOf(recipe, own, facts), own),
    stored: scoring === 'stored' && scores !== 'hardLearner',
    languages: languagesOf(data),
    ...(sourceLanguages && { sourceLanguages }),
    dtype,
    shards,
    sealed: null,
  };
}
