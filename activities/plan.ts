import { type Borrowed, holdBorrowed } from '../src/checkpoint/borrowed.ts';
import { claimRun } from '../src/checkpoint/claim.ts';
import { findCommits } from '../src/checkpoint/commits.ts';
import { parseRun, readDocument } from '../src/checkpoint/documents.ts';
import { runKey } from '../src/checkpoint/keys.ts';
import { runNameProblem } from '../src/checkpoint/names.ts';
import type { RecipeData } from '../src/data/example/recipe-data.ts';
import { collectTokenIds } from '../src/data/example/token-ids.ts';
import { corruptIn } from '../src/data/index/open-index.ts';
import type { DataIndex } from '../src/data/index/types.ts';
import { parameterCount } from '../src/model/parameters.ts';
import { type Looked, lookAt } from '../src/plan/look.ts';
import type { Sight } from '../src/plan/sight.ts';
import { informationBound } from '../src/recipe/information.ts';
import { own } from '../src/recipe/own.ts';
import { plannedPace } from '../src/recipe/pace.ts';
import type { Phase, Recipe } from '../src/recipe/schema.ts';
import { type DataFacts, modelConfig, phaseSettings, vocabularyOf } from '../src/recipe/settings.ts';
import { phaseSpans } from '../src/recipe/spans.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import { hashJson } from '../src/runtime/hash.ts';
import { probeConditionalWrites } from '../src/storage/conditional-writes.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { keepDocument } from './documents.ts';
import { beat } from './heartbeat.ts';
import { keepIndex } from './keep-index.ts';
import { planCuration } from './plan-curation.ts';
import { skippedLog } from './skipped.ts';
import type { EvaluationPlan, IndexDocument, PhasePlan, PlanInput, RunPlan } from './types/plan.ts';

/**
 * Checks everything that can be checked before anything is spent: recipe, store, data, checkpoints, name. What the run
 * needs to know is kept in the bucket; the answer is references. Calling it again changes nothing.
 */
export async function plan({ store, log, memory }: Dependencies, input: PlanInput, attempt: Attempt): Promise<RunPlan> {
  const heart = beat(attempt);
  try {
    const { run } = input;
    requireRunName(run);
    const looked = await lookAt(input.recipe, {
      open: async () => {
        await probeConditionalWrites(store);
        return store;
      },
      run,
      memory: memory ?? null,
    });
    const { sight, recipe, resolved, data, facts, evaluation, borrowed } = looked;
    const recipeHash = recipe && hashOf(recipe);
    sight.require(recipeHash !== null && (await hasBegun(store, run, recipeHash, sight)));
    if (!recipe || !recipeHash || !resolved || !data || !facts)
      throw new Error('a recipe without mistakes was not looked at');
    for (const { message } of sight.problems) log.warn({ run }, `a release of before began this run: ${message}`);
    for (const note of sight.notes) log.warn({ run }, note);
    const index = data.main;
    const trained = [...new Set([index, ...recipe.phases.map(data.of)])];
    const corrupt = trained.reduce((sum, one) => sum + corruptIn(one), 0);
    // Last, so that a recipe that could not start has not taken the name.
    const { created } = await claimRun(store, run, recipeHash, recipe);
    await holdBorrowed(store, run, borrowed, async (phase) => (await findCommits(store, { run, phase })).length > 0);
    log.info({ run, recipeHash, created, examples: index.examples, corrupt }, 'planned');
    skippedLog(log, { run })([...trained, ...(evaluation ? [evaluation] : [])].flatMap((one) => one.corrupt));
    return {
      run,
      recipeHash,
      phases: await planPhases(store, run, resolved, recipeHash, data, facts, looked),
      evaluation: evaluation && (await planEvaluation(store, run, recipe, evaluation)),
      examples: index.examples,
      corrupt: corrupt + (evaluation ? corruptIn(evaluation) : 0),
      parameters: parameterCount(modelConfig(resolved, vocabularyOf(resolved, undefined, facts))),
    };
  } finally {
    heart.stop();
  }
}

/** Whether a run of this name has begun with this recipe. Asked only where that makes a difference. */
async function hasBegun(store: ObjectStore, run: string, recipeHash: string, { problems }: Sight): Promise<boolean> {
  if (problems.length === 0 || problems.some(({ mild }) => !mild)) return false;
  const found = await readDocument(store, runKey(run));
  return found !== null && 'bytes' in found && parseRun(found.bytes).value?.recipeHash === recipeHash;
}

/** The identity of a recipe: everything but the line that tells editors where its schema is. */
export function hashOf({ $schema: _, ...recipe }: Recipe): string {
  return hashJson(recipe);
}

function requireRunName(run: string): void {
  const problem = runNameProblem(run);
  if (problem !== null)
    throw new RunnerError('RecipeInvalid', `the workflow ID is the name of the run, and ${problem}`);
}

async function planPhases(
  store: ObjectStore,
  run: string,
  recipe: Recipe,
  recipeHash: string,
  data: RecipeData,
  facts: DataFacts,
  { borrowed, held }: Pick<Looked, 'borrowed' | 'held'>,
): Promise<PhasePlan[]> {
  const spans = phaseSpans(recipe, facts);
  // Phases of the same data have one index between them: it can be large.
  const indexes = new Map<DataIndex, Promise<IndexDocument>>();
  const indexOf = (index: DataIndex) => {
    const scored = recipe.phases.some((phase) => phase.curation && data.of(phase) === index);
    const kept = indexes.get(index) ?? keepIndex(store, run, index, { scored });
    indexes.set(index, kept);
    return kept;
  };
  const tasks = await planTasks(store, run, recipe);
  return Promise.all(
    recipe.phases.map(async (phase: Phase, i): Promise<PhasePlan> => {
      const { from, to, branches } = spans[i]!;
      const settings = phaseSettings(recipe, phase, facts);
      const index = data.of(phase);
      const information = informationBound(settings, from.step, recipe.divergence.minInformation);
      return {
        run,
        phase: phase.name,
        recipeHash,
        settings: await keepDocument(store, run, `${phase.name}-settings`, settings),
        index: await indexOf(index),
        dataFingerprint: index.fingerprint,
        members: index.examples + corruptIn(index),
        batch: phase.batch,
        ...(settings.batches.naflex && { fixedBatches: 'naflex' }),
        ...(phase.curation && { fixedBatches: 'curation' }),
        ...(tasks && tasksOf(tasks, recipe, phase)),
        origin: originOf(phase, borrowed),
        from,
        to,
        branches,
        ...plannedPace(recipe),
        keep: recipe.checkpoint.keep,
        ...(phase.curation && {
          curation: planCuration(recipe, phase, phase.curation, facts, borrowed, held, index.shards.length),
        }),
        // Of images of any shape the steps depend on which batches there are: none can be left out.
        ...(information && { information }),
        ...(settings.replicas && { replicas: settings.replicas }),
        ...(phase.limits && { limits: phase.limits }),
        leaveOut: settings.batches.naflex ? 0 : recipe.divergence.leaveOut,
      };
    }),
  );
}

/** Histories hold where a task lies, however long it is. */
async function planTasks(store: ObjectStore, run: string, { evaluate }: Recipe): Promise<PhasePlan['tasks'] | null> {
  const { tasks, every, best, earlyStopping, guard } = evaluate;
  if (!tasks) return null;
  const documents = await Promise.all(
    tasks.map(async (task) => ({ name: task.name, document: await keepDocument(store, run, 'task', task) })),
  );
  const stopping = best && earlyStopping && { earlyStopping };
  return { documents, every: every?.steps ?? null, ...(best && { best }), ...stopping, ...(guard && { guard }) };
}

/** Without those that are for other phases alone; a figure of a task that is not done keeps no checkpoint and ends nothing. */
function tasksOf(
  { best, earlyStopping, guard, ...tasks }: NonNullable<PhasePlan['tasks']>,
  { evaluate: { only = {} } }: Recipe,
  { name: phase, from }: Phase,
): Pick<PhasePlan, 'tasks'> {
  const documents = tasks.documents.filter(({ name }) => own(only, name)?.includes(phase) ?? true);
  if (documents.length === 0) return {};
  const watched = documents.some(({ name }) => name === best?.task);
  // From scratch nothing was known before.
  const guarded = from !== undefined && documents.some(({ name }) => name === guard?.task);
  return {
    tasks: {
      ...tasks,
      documents,
      ...(guarded && guard && { guard }),
      ...(watched && { ...(best && { best }), ...(earlyStopping && { earlyStopping }) }),
    },
  };
}

function originOf({ name, from }: Phase, borrowed: Borrowed): PhasePlan['origin'] {
  if (typeof from === 'string') return { phase: from };
  const checkpoint = own(borrowed, name);
  return checkpoint ? { checkpoint } : null;
}

async function planEvaluation(
  store: ObjectStore,
  run: string,
  recipe: Recipe,
  index: DataIndex,
): Promise<EvaluationPlan> {
  const { languages, maxExamples } = recipe.evaluate;
  const read = recipe.data.evaluationRead ?? recipe.data.read;
  const document = await keepDocument(store, run, 'evaluation-index', index.document);
  // Kept, so that no evaluation reads every text to know its tokens.
  await collectTokenIds(store, index, languages, { read, keep: store });
  const of = { index: document, dataFingerprint: index.fingerprint, corrupt: corruptIn(index), ...(read && { read }) };
  return { ...of, languages, maxExamples };
}
