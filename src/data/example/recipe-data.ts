import { speaks } from '../../recipe/objectives.ts';
import { placesOf } from '../../recipe/places.ts';
import type { Phase, Recipe } from '../../recipe/schema.ts';
import { type DataFacts, dataOf, modelOf } from '../../recipe/settings.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { indexData } from '../index/index-data.ts';
import type { DataIndex } from '../index/types.ts';
import { collectTokenIds } from './read-examples.ts';
import { loadTokenizer } from './tokenizer.ts';

/** The data of a recipe as they lie in the bucket. */
export interface RecipeData {
  /** Below `data.train`. */
  readonly main: DataIndex;
  /** What a phase trains on. */
  of(phase: Phase): DataIndex;
  readonly epochs: { readonly examples: number; readonly phaseExamples: Readonly<Record<string, number>> };
}

/** Indexes every place that a recipe trains on, each once. DataContract where there is nothing to train on. */
export async function indexRecipe(store: ObjectStore, recipe: Recipe): Promise<RecipeData> {
  const indexes = new Map<string, DataIndex>();
  const keyOf = (phase?: Phase) => JSON.stringify(placesOf(phase?.data?.train ?? recipe.data.train));
  for (const phase of [undefined, ...recipe.phases]) {
    const key = keyOf(phase);
    if (!indexes.has(key)) indexes.set(key, await indexData(store, phase?.data?.train ?? recipe.data.train));
  }
  const of = (phase?: Phase) => indexes.get(keyOf(phase))!;
  const phaseExamples = recipe.phases.flatMap((phase) =>
    phase.data?.train === undefined ? [] : [[phase.name, of(phase).examples] as const],
  );
  const main = of();
  return { main, of, epochs: { examples: main.examples, phaseExamples: Object.fromEntries(phaseExamples) } };
}

/**
 * The token ids that a compacted table of this recipe holds: of all its data, in all languages that it trains on, so that
 * phases can go on from one another. Null when no model has a compacted table.
 */
export async function recipeVocabulary(
  store: ObjectStore,
  recipe: Recipe,
  data: RecipeData,
): Promise<DataFacts['vocabulary']> {
  const phases = recipe.phases.filter((phase) => modelOf(recipe, phase).text.vocabulary === 'compact');
  if (phases.length === 0) return null;
  const languages = new Set(phases.flatMap((phase) => dataOf(recipe, phase).captions.map(({ language }) => language)));
  const ids = new Set<number>();
  for (const index of new Set(phases.map(data.of))) {
    const own = await collectTokenIds(store, index, loadTokenizer(), [...languages], { captioning: speaks(recipe) });
    for (const id of own) ids.add(id);
  }
  return [...ids].sort((a, b) => a - b);
}
