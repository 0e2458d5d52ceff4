import { speaks } from '../../recipe/objectives.ts';
import { placesOf } from '../../recipe/places.ts';
import { type ForeignRead, foreign } from '../../recipe/reading.ts';
import type { Phase, Recipe } from '../../recipe/schema.ts';
import { type DataFacts, dataOf, modelOf, regionsOf } from '../../recipe/settings.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
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

/** The places that a phase trains on, or the recipe. */
export const trainOf = (recipe: Recipe, phase?: Phase) => phase?.data?.train ?? recipe.data.train;

/** How that is read; undefined: as the JSON of this project. */
export const readOf = (recipe: Recipe, phase?: Phase) => foreign(phase?.data?.read ?? recipe.data.read);

const keyOf = (recipe: Recipe, phase?: Phase) =>
  JSON.stringify([placesOf(trainOf(recipe, phase)), readOf(recipe, phase), regionsOf(recipe, phase)]);

/** Every place that a recipe trains or evaluates on, and how it is read. */
export function recipePlaces(recipe: Recipe): { train: Recipe['data']['train']; read: ForeignRead | undefined }[] {
  const { evaluation, evaluationRead, read } = recipe.data;
  const trained = [undefined, ...recipe.phases].map((phase) => {
    return { train: trainOf(recipe, phase), read: readOf(recipe, phase) };
  });
  const evaluated = evaluation === undefined ? [] : [{ train: evaluation, read: foreign(evaluationRead ?? read) }];
  return [...new Map([...trained, ...evaluated].map((place) => [JSON.stringify(place), place])).values()];
}

/**
 * Indexes every place that a recipe trains on, each once.
 * @param index null where a place can't be used; then the data is null too
 */
export async function indexRecipe(
  recipe: Recipe,
  index: (
    train: Recipe['data']['train'],
    read: ForeignRead | undefined,
    phase: Phase | undefined,
  ) => Promise<DataIndex | null>,
): Promise<RecipeData | null> {
  const indexes = new Map<string, DataIndex | null>();
  for (const phase of [undefined, ...recipe.phases]) {
    const key = keyOf(recipe, phase);
    if (!indexes.has(key)) indexes.set(key, await index(trainOf(recipe, phase), readOf(recipe, phase), phase));
  }
  if ([...indexes.values()].includes(null)) return null;
  const of = (phase?: Phase) => indexes.get(keyOf(recipe, phase))!;
  const phaseExamples = recipe.phases.flatMap((phase) =>
    phase.data?.train === undefined && phase.data?.read === undefined
      ? []
      : [[phase.name, of(phase).examples] as const],
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
  const collected = new Set<string>();
  const captioning = speaks(recipe);
  for (const phase of phases) {
    const { read } = dataOf(recipe, phase);
    const index = data.of(phase);
    const which = JSON.stringify([index.fingerprint, read]);
    if (collected.has(which)) continue;
    collected.add(which);
    const own = await collectTokenIds(store, index, loadTokenizer(), [...languages], { captioning, read });
    for (const id of own) ids.add(id);
  }
  return [...ids].sort((a, b) => a - b);
}
