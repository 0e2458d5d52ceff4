import { type Borrowed, teacherOf } from '../checkpoint/borrowed.ts';
import { type Census, countCaptions } from '../data/example/census.ts';
import { indexRecipe, type RecipeData, recipeVocabulary } from '../data/example/recipe-data.ts';
import { countSpoken } from '../data/example/spoken-lists.ts';
import { type IndexOptions, indexData } from '../data/index/index-data.ts';
import { joinFilter } from '../data/index/join-filter.ts';
import { joinRegions } from '../data/index/join-regions.ts';
import type { DataIndex } from '../data/index/types.ts';
import { parseTask } from '../evaluate/tasks/task.ts';
import { type HeldModel, modelProblems, teacherProblems, withModels } from '../recipe/models.ts';
import { problemsWith, readRecipe } from '../recipe/parse.ts';
import { placesOf } from '../recipe/places.ts';
import { type ForeignRead, foreign } from '../recipe/reading.ts';
import type { Phase, Recipe } from '../recipe/schema.ts';
import { addedTokensOf, type DataFacts, dataOf, writtenModel } from '../recipe/settings.ts';
import type { DeviceMemory } from '../runtime/device-memory.ts';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { compileProblems, memoryProblems } from '../train/fits.ts';
import { pieceProblems } from './added-pieces.ts';
import { brokenProblems } from './broken.ts';
import { type CaptionQuestion, captionNotes, captionProblems } from './captions.ts';
import { heldModel } from './held-model.ts';
import { notesOf } from './notes.ts';
import { begunWith, checkpointFor, wantedOf } from './origin.ts';
import { Sight } from './sight.ts';

/** What a recipe is held against. */
export interface World {
  /** Throws where none is set up. */
  readonly open: () => ObjectStore | Promise<ObjectStore>;
  /** The name of the run: what it began with is what it goes on with, however many newer checkpoints there are. */
  readonly run?: string;
  readonly memory?: DeviceMemory | null;
  /** Told how many shards are indexed, of how many, where some had to be read for it. */
  readonly onIndexed?: IndexOptions['onIndexed'];
}

/** A recipe with all that was found of what it names. */
export interface Looked {
  readonly sight: Sight;
  /** As it is written, with every default; null where it can't be read. */
  readonly recipe: Recipe | null;
  /** With the models of the checkpoints that it leaves them to. */
  readonly resolved: Recipe | null;
  readonly borrowed: Borrowed;
  /** Of what was borrowed, by the names there. */
  readonly held: ReadonlyMap<string, HeldModel>;
  /** Null while anything that it trains on is not known. */
  readonly data: RecipeData | null;
  readonly facts: DataFacts | null;
  readonly evaluation: DataIndex | null;
  readonly captions: readonly CaptionQuestion[];
}

/** Looks at everything that can be looked at before anything is spent. */
export async function lookAt(json: unknown, world: World): Promise<Looked> {
  const sight = new Sight(json);
  const { recipe, problems } = readRecipe(json);
  sight.add(problems);
  const nothing = { sight, borrowed: {}, held: new Map(), data: null, facts: null, evaluation: null, captions: [] };
  if (!recipe) return { recipe, resolved: null, ...nothing };
  for (const [i, task] of (recipe.evaluate.tasks ?? []).entries())
    await sight.see([`evaluate.tasks.${i}`], async () => parseTask(task));
  const store = (await sight.see([], async () => world.open())) ?? null;
  const found = store ? await lookInto(sight, store, recipe, world) : { ...nothing, resolved: recipe };
  await lookAtSizes(sight, store, found, world.memory ?? null);
  // Of a recipe that is wrong the sizes may be anything.
  if (sight.problems.every(({ mild }) => mild))
    sight.notes.push(...notesOf(found.resolved, found.facts, found.data, world.memory ?? null));
  return { ...found, sight, recipe };
}

/** What the bucket says to a recipe. */
interface Found extends Omit<Looked, 'sight' | 'recipe'> {
  readonly resolved: Recipe;
}

async function lookInto(sight: Sight, store: ObjectStore, recipe: Recipe, { run, onIndexed }: World): Promise<Found> {
  const { borrowed, held } = await lookAtOrigins(sight, store, recipe, run);
  const resolved = withModels(recipe, held);
  for (const phase of recipe.phases) {
    const teacher = held.get(teacherOf(phase.name));
    if (teacher) sight.add(teacherProblems(resolved, phase, teacher.model));
  }
  const { data, evaluation, captions } = await lookAtData(sight, store, recipe, onIndexed);
  sight.add(problemsWith(resolved, data?.epochs ?? {}));
  sight.add(pieceProblems(resolved));
  const facts = data && (await lookAtTokens(sight, store, resolved, data, borrowed));
  return { resolved, borrowed, held, data, facts, evaluation, captions };
}

async function lookAtOrigins(sight: Sight, store: ObjectStore, recipe: Recipe, run: string | undefined) {
  const borrowed: Record<string, Borrowed[string]> = {};
  const held = new Map<string, HeldModel>();
  const wanted = wantedOf(recipe);
  const began = wanted.length > 0 && run !== undefined ? await sight.see([], () => begunWith(store, run)) : undefined;
  for (const one of wanted) {
    const found = await sight.see([one.field], async () => {
      const before = await began?.(one);
      const ref = before ?? (await checkpointFor(store, one));
      const model = await heldModel(store, ref).catch(async (error) => {
        if (!before || !isRunnerError(error, 'CheckpointDamaged')) throw error;
        // What it began with may be gone when a phase has checkpoints of its own, which have the same towers.
        const from = { run: run!, phase: one.name };
        const newest = await checkpointFor(store, { what: one.what, from }).catch(() => null);
        if (newest) return heldModel(store, newest);
        throw error;
      });
      return { ref, model };
    });
    if (!found) continue;
    borrowed[one.name] = found.ref;
    held.set(one.name, found.model);
  }
  sight.add(modelProblems(recipe, held));
  return { borrowed, held };
}

/** The shards, and the captions in them, of all that is trained on and evaluated on. */
async function lookAtData(sight: Sight, store: ObjectStore, recipe: Recipe, onIndexed: IndexOptions['onIndexed']) {
  const options = onIndexed && { onIndexed };
  const captions: CaptionQuestion[] = [];
  const counted = new Map<DataIndex, Census>();
  const ask = async (places: string, field: string, index: DataIndex, languages: readonly string[]) => {
    const { prefix } = index;
    const known = counted.get(index);
    const census = known ?? (await sight.see([places], () => countCaptions(store, index)));
    if (!census) return;
    counted.set(index, census);
    const question = { places, field, prefix, census, languages };
    captions.push(question);
    if (!sight.isWrong([field])) sight.add(captionProblems(question));
    if (!sight.isWrong([places])) sight.add(brokenProblems(places, index, census, recipe.data));
    for (const note of captionNotes(question)) if (!sight.notes.includes(note)) sight.notes.push(note);
  };
  const ownOf = (phase: Phase | undefined, fields: readonly (keyof NonNullable<Phase['data']>)[]) =>
    fields.some((field) => phase?.data?.[field] !== undefined)
      ? `phases.${recipe.phases.indexOf(phase!)}.data`
      : 'data';
  const fieldOf = (
    phase: Phase | undefined,
    field: 'train' | 'captions' | 'read' | 'regions' | 'filter',
    source = -1,
  ) => {
    const at = ownOf(phase, ['mixture']);
    const mixture = source < 0 ? undefined : (phase?.data?.mixture ?? recipe.data.mixture)?.[source];
    if (field !== 'captions') return mixture ? `${at}.mixture.${source}.${field}` : `${ownOf(phase, [field])}.${field}`;
    const own = (['languages', 'captions'] as const).find((name) => mixture?.[name]);
    return own ? `${at}.mixture.${source}.${own}` : `${ownOf(phase, [field])}.${field}`;
  };
  /** What lies at a place is read unless how to read it is wrong already. */
  const read = async (place: string, how: string, index: () => Promise<DataIndex>) =>
    sight.isWrong([how]) ? null : ((await sight.see([place], index)) ?? null);
  const data = await indexRecipe(
    recipe,
    async ({ name, train, read: mapping, regions, filter }, i, phase) => {
      const number = name === null ? -1 : i;
      const index = await read(fieldOf(phase, 'train', number), fieldOf(phase, 'read', number), () =>
        indexed(store, train, mapping, options),
      );
      const described =
        !index || regions === undefined
          ? index
          : ((await sight.see([fieldOf(phase, 'regions', number)], () => joinRegions(store, index, regions))) ?? null);
      if (!described || filter === undefined) return described;
      return (await sight.see([fieldOf(phase, 'filter', number)], () => joinFilter(store, described, filter))) ?? null;
    },
    async (index, languages) => (await sight.see([], () => countSpoken(store, index, languages))) ?? null,
  );
  const asked = new Set<string>();
  for (const phase of data ? recipe.phases : [])
    for (const [i, { source, index, spoken, data: own }] of data!.sourcesOf(phase).entries()) {
      const number = source.name === null ? -1 : i;
      const [places, field] = [fieldOf(phase, 'train', number), fieldOf(phase, 'captions', number)];
      const once = [places, field, fieldOf(phase, 'read', number)].join(' ');
      if (asked.has(once)) continue;
      asked.add(once);
      const { languages = own.captions } = dataOf(recipe, phase).mixture?.[i] ?? {};
      await ask(
        places,
        field,
        index,
        languages.map(({ language }) => language),
      );
      const none = languages.find(({ language }) => {
        const counts = spoken?.counts[spoken.languages.indexOf(language)];
        return counts?.every((count) => count === 0);
      });
      if (none && !sight.isWrong([field])) {
        const message = `${field} draws from "${none.language}", which no example below ${index.prefix}/ has; leave it out`;
        sight.add([{ fields: [field], message, code: 'DataContract' }]);
      }
    }
  const { evaluation: place, evaluationRead } = recipe.data;
  const evaluation =
    place === undefined
      ? null
      : await read('data.evaluation', evaluationRead ? 'data.evaluationRead' : 'data.read', () =>
          indexed(store, place, foreign(evaluationRead ?? recipe.data.read), options),
        );
  if (evaluation) await ask('data.evaluation', 'evaluate.languages', evaluation, recipe.evaluate.languages);
  return { data, evaluation, captions };
}

/** People name a shard where the folder that it lies in is wanted. */
async function indexed(
  store: ObjectStore,
  train: Recipe['data']['train'],
  read: ForeignRead | undefined,
  options?: IndexOptions,
): Promise<DataIndex> {
  const shard = placesOf(train).find((place) => place.endsWith('.tar'));
  return indexData(store, train, read, options).catch((error) => {
    if (!shard || !isRunnerError(error, 'DataContract')) throw error;
    const above = shard.split('/').slice(0, -1).join('/') || 'a folder';
    throw new RunnerError(
      'DataContract',
      `${error.message}; ${shard} is named as one shard: name where it lies, ${above}`,
    );
  });
}

/** What the lengths, the shapes and the token tables of the phases come to. */
async function lookAtTokens(
  sight: Sight,
  store: ObjectStore,
  recipe: Recipe,
  data: RecipeData,
  origins: Borrowed,
): Promise<DataFacts | null> {
  if (recipe.phases.some((phase) => !writtenModel(recipe, phase))) return null;
  const vocabulary = await sight.see(['data', 'model.text'], () => recipeVocabulary(store, recipe, data));
  if (vocabulary === undefined) return null;
  return { ...data.epochs, vocabulary, origins };
}

/** A minute or two of texts. */
const mostProposed = 1_000_000;

/** Whether the steps of the phases can be compiled, and fit. */
async function lookAtSizes(
  sight: Sight,
  store: ObjectStore | null,
  { resolved: recipe, data, facts: known }: Found,
  memory: DeviceMemory | null,
): Promise<void> {
  // Sizes are what they are whatever the data; of a recipe that is wrong itself they may be anything.
  const shaped = sight.problems.every(({ code, mild }) => code !== undefined || mild);
  const full = recipe.phases.every((phase) => writtenModel(recipe, phase)?.text.vocabulary === 'full');
  const facts = known ?? (full ? { examples: 0, vocabulary: null } : null);
  if (!shaped || !facts) return;
  const tooLarge = compileProblems(recipe, facts);
  // Estimates get better from release to release: what has begun goes on.
  sight.add(tooLarge.map((message) => ({ fields: ['compiles'], message, mild: true })));
  if (!memory || tooLarge.length > 0 || memoryProblems(recipe, facts, memory).length === 0) return;
  // A proposal is not worth reading all texts of a large set.
  // A model with added tokens can't have a compacted table.
  const fits = recipe.phases.every(
    (phase) => !writtenModel(recipe, phase) || addedTokensOf(recipe, phase).length === 0,
  );
  const few = data && fits && data.epochs.examples <= mostProposed;
  const compact =
    !store || !few ? undefined : await sight.see([], () => recipeVocabulary(store, allCompact(recipe), data));
  const problems = memoryProblems(recipe, facts, memory, compact?.length);
  sight.add(problems.map((message) => ({ fields: ['memory'], message, mild: true })));
}

/** As it would be with compacted token tables alone. */
function allCompact(recipe: Recipe): Recipe {
  const compact = <T extends Recipe['model']>(model: T): T =>
    model && { ...model, text: { ...model.text, vocabulary: 'compact' as const } };
  const phases = recipe.phases.map((phase) => ({ ...phase, ...(phase.model && { model: compact(phase.model) }) }));
  return { ...recipe, ...(recipe.model && { model: compact(recipe.model) }), phases };
}
