import { meetsNegatives, speaks } from '../../recipe/objectives.ts';
import { placesOf } from '../../recipe/places.ts';
import { foreign } from '../../recipe/reading.ts';
import type { DataSettings, Phase, Recipe } from '../../recipe/schema.ts';
import { type DataFacts, dataOf, modelOf, writtenModel } from '../../recipe/settings.ts';
import { type DataSource, dataOfSource, languagesOf, sourcesOf } from '../../recipe/sources.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { mixedIndex } from '../index/mixed-index.ts';
import type { DataIndex, SpokenCounts } from '../index/types.ts';
import { namedAndOther } from './spoken-lists.ts';
import { collectTokenIds } from './token-ids.ts';
import type { TextSettings } from './token-set.ts';

/** A source as it lies in the bucket. */
export interface SourceData {
  readonly source: DataSource;
  readonly index: DataIndex;
  /** Where its languages are drawn by weight over examples. */
  readonly spoken?: SpokenCounts;
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
 * @param speaking who has which languages, where those are drawn by weight over examples; null where that can't be said
 */
export async function indexRecipe(
  recipe: Recipe,
  index: (source: DataSource, number: number, phase: Phase | undefined) => Promise<DataIndex | null>,
  speaking: (index: DataIndex, languages: readonly string[]) => Promise<SpokenCounts | null>,
): Promise<RecipeData | null> {
  const indexes = new Map<string, DataIndex | null>();
  const keyOf = ({ train, read, regions, filter }: DataSource) =>
    JSON.stringify([placesOf(train), read, regions, filter]);
  const wholes = new Map<string, DataIndex>();
  for (const phase of [undefined, ...recipe.phases])
    for (const [number, source] of sourcesOf(settingsOf(recipe, phase)).entries()) {
      const key = keyOf(source);
      if (!indexes.has(key)) indexes.set(key, await index(source, number, phase));
    }
  if ([...indexes.values()].includes(null)) return null;
  const spoken = new Map<string, SpokenCounts | null>();
  const spokenOf = (source: DataSource, languages: readonly string[]) => `${keyOf(source)} ${namedAndOther(languages)}`;
  for (const phase of [undefined, ...recipe.phases]) {
    const data = settingsOf(recipe, phase);
    for (const [i, source] of sourcesOf(data).entries()) {
      const languages = data.mixture?.[i]?.languages?.map(({ language }) => language);
      if (!languages || spoken.has(spokenOf(source, languages))) continue;
      spoken.set(spokenOf(source, languages), await speaking(indexes.get(keyOf(source))!, languages));
    }
  }
  if ([...spoken.values()].includes(null)) return null;
  const partsOf = (phase: Phase | undefined): SourceData[] => {
    const data = settingsOf(recipe, phase);
    return sourcesOf(data).map((source, i) => {
      const languages = data.mixture?.[i]?.languages?.map(({ language }) => language);
      const own = languages && spoken.get(spokenOf(source, languages));
      const found = { index: indexes.get(keyOf(source))!, ...(own && { spoken: own }) };
      return { source, ...found, data: dataOfSource(data, data.mixture?.[i]) };
    });
  };
  const of = (phase?: Phase) => {
    const parts = partsOf(phase);
    const key = JSON.stringify(parts.map(({ source, spoken }) => [source.name, keyOf(source), spoken?.languages]));
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
    : mixedIndex(parts.map(({ source, index, spoken }) => ({ name: source.name!, index, ...(spoken && { spoken }) })));

/** The phases whose model has a compacted table, and what of their texts it holds: in all languages that they train on. */
function compacting(recipe: Recipe): { readonly phases: readonly Phase[] } & Omit<TextSettings, 'read'> {
  const phases = recipe.phases.filter((phase) => modelOf(recipe, phase).text.vocabulary === 'compact');
  const languages = [...new Set(phases.flatMap((phase) => languagesOf(dataOf(recipe, phase))))];
  return { phases, languages, captioning: speaks(recipe), ...(meetsNegatives(recipe) && { negatives: true }) };
}

/** A place of which every text is turned into tokens, and how. */
export interface TextPlace {
  readonly source: DataSource;
  readonly texts: TextSettings;
}

/** Every place of which a run needs all tokens; none that is trained on where a model is left to a checkpoint. */
export function textPlaces(recipe: Recipe): TextPlace[] {
  const { evaluation, evaluationRead, read } = recipe.data;
  const own = evaluationRead ?? read;
  const places: TextPlace[] = [];
  if (evaluation !== undefined) {
    const source = { name: null, train: evaluation, read: foreign(own) };
    places.push({ source, texts: { languages: recipe.evaluate.languages, captioning: false, read: own } });
  }
  if (!recipe.phases.every((phase) => writtenModel(recipe, phase))) return places;
  const { phases, ...texts } = compacting(recipe);
  for (const phase of phases) {
    const data = dataOf(recipe, phase);
    for (const [i, source] of sourcesOf(data).entries())
      places.push({ source, texts: { ...texts, read: dataOfSource(data, data.mixture?.[i]).read } });
  }
  return [...new Map(places.map((place) => [JSON.stringify(place), place])).values()];
}

/** Every source whose languages are drawn by weight over examples, and these. */
export function spokenPlaces(recipe: Recipe): { readonly source: DataSource; readonly languages: readonly string[] }[] {
  const places = [undefined, ...recipe.phases].flatMap((phase) => {
    const data = settingsOf(recipe, phase);
    return sourcesOf(data).flatMap((source, i) => {
      const languages = data.mixture?.[i]?.languages?.map(({ language }) => language);
      return languages ? [{ source, languages }] : [];
    });
  });
  return [...new Map(places.map((place) => [JSON.stringify(place), place])).values()];
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
  const { phases, languages, captioning, negatives } = compacting(recipe);
  if (phases.length === 0) return null;
  const ids = new Set<number>();
  const collected = new Set<string>();
  for (const { index, data: own } of phases.flatMap((phase) => data.sourcesOf(phase))) {
    const { read } = own;
    const which = JSON.stringify([index.fingerprint, read]);
    if (collected.has(which)) continue;
    collected.add(which);
    const found = await collectTokenIds(store, index, languages, { captioning, negatives, read, keep: store });
    for (const id of found) ids.add(id);
  }
  return [...ids].sort((a, b) => a - b);
}
