import { speaks } from '../../recipe/objectives.ts';
import { placesOf } from '../../recipe/places.ts';
import { foreign } from '../../recipe/reading.ts';
import type { DataSettings, Phase, Recipe } from '../../recipe/schema.ts';
import { type DataFacts, dataOf, modelOf, regionsOf } from '../../recipe/settings.ts';
import { type DataSource, dataOfSource, languagesOf, sourcesOf } from '../../recipe/sources.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { mixedIndex } from '../index/mixed-index.ts';
import type { DataIndex } from '../index/types.ts';
import { collectTokenIds } from './read-examples.ts';
import { loadTokenizer } from './tokenizer.ts';

/** A source as it lies in the bucket. */
export interface SourceData {
  readonly source: DataSource;
  readonly index: DataIndex;
  /** What its examples are made by. */
  readonly data: DataSettings;
}

/** The data of a recipe as they lie in the bucket. */
export interface RecipeData {
  /** Of `data`. */
  readonly main: DataIndex;
  /** What a phase trains on. */
  of(phase: Phase): DataIndex;
  /** The sources that this is made of, one where it is no mixture. */
  sourcesOf(phase: Phase): readonly SourceData[];
  readonly epochs: { readonly examples: number; readonly phaseExamples: Readonly<Record<string, number>> };
}

/** What a phase trains on, or the recipe, as settings have it. */
const settingsOf = (recipe: Recipe, phase: Phase | undefined) => (phase ? dataOf(recipe, phase) : recipe.data);

/** Every place that a recipe trains or evaluates on, and how it is read. */
export function recipePlaces(recipe: Recipe): Pick<DataSource, 'train' | 'read'>[] {
  const { evaluation, evaluationRead, read } = recipe.data;
  const trained = [undefined, ...recipe.phases].flatMap((phase) => sourcesOf(settingsOf(recipe, phase)));
  const evaluated = evaluation === undefined ? [] : [{ train: evaluation, read: foreign(evaluationRead ?? read) }];
  const places = [...trained, ...evaluated].map(({ train, read }) => ({ train, read }));
  return [...new Map(places.map((place) => [JSON.stringify(place), place])).values()];
}

/**
 * Indexes every place that a recipe trains on, each once.
 * @param index null where a place can't be used; then the data is null too. `number`: of the source in its mixture
 */
export async function indexRecipe(
  recipe: Recipe,
  index: (source: DataSource, number: number, phase: Phase | undefined) => Promise<DataIndex | null>,
): Promise<RecipeData | null> {
  const indexes = new Map<string, DataIndex | null>();
  const keyOf = ({ train, read, filter }: DataSource, phase: Phase | undefined) =>
    JSON.stringify([placesOf(train), read, regionsOf(recipe, phase), filter]);
  const wholes = new Map<string, DataIndex>();
  for (const phase of [undefined, ...recipe.phases])
    for (const [number, source] of sourcesOf(settingsOf(recipe, phase)).entries()) {
      const key = keyOf(source, phase);
      if (!indexes.has(key)) indexes.set(key, await index(source, number, phase));
    }
  if ([...indexes.values()].includes(null)) return null;
  const partsOf = (phase: Phase | undefined): SourceData[] => {
    const data = settingsOf(recipe, phase);
    return sourcesOf(data).map((source, i) => {
      return { source, index: indexes.get(keyOf(source, phase))!, data: dataOfSource(data, data.mixture?.[i]) };
    });
  };
  const of = (phase?: Phase) => {
    const parts = partsOf(phase);
    const key = JSON.stringify(parts.map(({ source }) => [source.name, keyOf(source, phase)]));
    const whole = wholes.get(key) ?? wholeOf(parts);
    wholes.set(key, whole);
    return whole;
  };
  const phaseExamples = recipe.phases.flatMap((phase) =>
    (phase.data?.train ?? phase.data?.mixture ?? phase.data?.read) === undefined
      ? []
      : [[phase.name, of(phase).examples] as const],
  );
  const main = of();
  const epochs = { examples: main.examples, phaseExamples: Object.fromEntries(phaseExamples) };
  return { main, of, sourcesOf: partsOf, epochs };
}

const wholeOf = (parts: readonly SourceData[]): DataIndex =>
  parts[0]!.source.name === null
    ? parts[0]!.index
    : mixedIndex(parts.map(({ source, index }) => ({ name: source.name!, index })));

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
  const languages = new Set(phases.flatMap((phase) => languagesOf(dataOf(recipe, phase))));
  const ids = new Set<number>();
  const collected = new Set<string>();
  const captioning = speaks(recipe);
  for (const { index, data: own } of phases.flatMap((phase) => data.sourcesOf(phase))) {
    const { read } = own;
    const which = JSON.stringify([index.fingerprint, read]);
    if (collected.has(which)) continue;
    collected.add(which);
    const found = await collectTokenIds(store, index, loadTokenizer(), [...languages], { captioning, read });
    for (const id of found) ids.add(id);
  }
  return [...ids].sort((a, b) => a - b);
}
