import { type Borrowed, holdBorrowed } from '../src/checkpoint/borrowed.ts';
import { claimRun } from '../src/checkpoint/claim.ts';
import { findCommits } from '../src/checkpoint/commits.ts';
import { namePattern } from '../src/checkpoint/keys.ts';
import { indexRecipe, type RecipeData, recipeVocabulary } from '../src/data/example/recipe-data.ts';
import { indexData } from '../src/data/index/index-data.ts';
import type { DataIndex } from '../src/data/index/types.ts';
import { parameterCount } from '../src/model/parameters.ts';
import { plannedPace } from '../src/recipe/pace.ts';
import { checkAgainstData, parseRecipe } from '../src/recipe/parse.ts';
import type { Phase, Recipe } from '../src/recipe/schema.ts';
import { type DataFacts, modelConfig, phaseSettings, vocabularyOf } from '../src/recipe/settings.ts';
import { phaseSpans } from '../src/recipe/spans.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import { hashJson } from '../src/runtime/hash.ts';
import { probeConditionalWrites } from '../src/storage/conditional-writes.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import { memoryProblems } from '../src/train/fits.ts';
import { findBorrowed } from './borrow.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { keepDocument } from './documents.ts';
import { beat } from './heartbeat.ts';
import { planCuration } from './plan-curation.ts';
import { skippedLog } from './skipped.ts';
import type { EvaluationPlan, PhasePlan, PlanInput, RunPlan } from './types.ts';

/**
 * Checks everything that can be checked before anything is spent: recipe, store, data, name. What the run needs
 * to know is kept in the bucket; the answer is references. Calling it again changes nothing.
 */
export async function plan({ store, log, memory }: Dependencies, input: PlanInput, attempt: Attempt): Promise<RunPlan> {
  const heart = beat(attempt);
  try {
    const { run } = input;
    requireRunName(run);
    const recipe = parseRecipe(input.recipe);
    await probeConditionalWrites(store);
    const data = await indexRecipe(store, recipe);
    checkAgainstData(recipe, data.epochs);
    const evaluation = recipe.data.evaluation === undefined ? null : await indexData(store, recipe.data.evaluation);
    const borrowed = await findBorrowed(store, run, recipe);
    const vocabulary = await recipeVocabulary(store, recipe, data);
    const facts: DataFacts = { ...data.epochs, vocabulary, origins: borrowed };
    const tooLarge = memory ? memoryProblems(recipe, facts, memory) : [];
    if (tooLarge.length > 0) throw new RunnerError('RecipeInvalid', tooLarge.join('\n'));
    const index = data.main;
    const recipeHash = hashOf(recipe);
    // Last, so that a recipe that could not start has not taken the name.
    const { created } = await claimRun(store, run, recipeHash, recipe);
    await holdBorrowed(store, run, borrowed, async (phase) => (await findCommits(store, { run, phase })).length > 0);
    log.info({ run, recipeHash, created, examples: index.examples, corrupt: index.corrupt.length }, 'planned');
    skippedLog(log, { run })([...index.corrupt, ...(evaluation?.corrupt ?? [])]);
    return {
      run,
      recipeHash,
      phases: await planPhases(store, run, recipe, recipeHash, data, facts, borrowed),
      evaluation: evaluation && (await planEvaluation(store, run, recipe, evaluation)),
      examples: index.examples,
      corrupt: index.corrupt.length + (evaluation?.corrupt.length ?? 0),
      parameters: parameterCount(modelConfig(recipe, vocabularyOf(recipe, undefined, facts))),
    };
  } finally {
    heart.stop();
  }
}

/** The identity of a recipe: everything but the line that tells editors where its schema is. */
export function hashOf({ $schema: _, ...recipe }: Recipe): string {
  return hashJson(recipe);
}

function requireRunName(run: string): void {
  if (namePattern.test(run)) return;
  throw new RunnerError(
    'RecipeInvalid',
    `the workflow ID is the name of the run, and ${JSON.stringify(run.slice(0, 100))} can't be one; use at most 200 of A-Z, a-z, 0-9, ., _ and -`,
  );
}

async function planPhases(
  store: ObjectStore,
  run: string,
  recipe: Recipe,
  recipeHash: string,
  data: RecipeData,
  facts: DataFacts,
  borrowed: Borrowed,
): Promise<PhasePlan[]> {
  const spans = phaseSpans(recipe, facts);
  return Promise.all(
    recipe.phases.map(async (phase: Phase, i): Promise<PhasePlan> => {
      const { from, to, branches } = spans[i]!;
      const settings = phaseSettings(recipe, phase, facts);
      const index = data.of(phase);
      return {
        run,
        phase: phase.name,
        recipeHash,
        settings: await keepDocument(store, run, `${phase.name}-settings`, settings),
        index: await keepDocument(store, run, 'train-index', index),
        dataFingerprint: index.fingerprint,
        batch: phase.batch,
        ...(settings.batches.naflex && { fixedBatches: 'naflex' }),
        ...(phase.curation && { fixedBatches: 'curation' }),
        origin: originOf(phase, borrowed),
        from,
        to,
        branches,
        ...plannedPace(recipe),
        keep: recipe.checkpoint.keep,
        ...(phase.curation && {
          curation: await planCuration(store, recipe, phase, phase.curation, facts, borrowed, index.shards.length),
        }),
        // Of images of any shape the steps depend on which batches there are: none can be left out.
        leaveOut: settings.batches.naflex ? 0 : recipe.divergence.leaveOut,
      };
    }),
  );
}

function originOf({ name, from }: Phase, borrowed: Borrowed): PhasePlan['origin'] {
  if (typeof from === 'string') return { phase: from };
  const checkpoint = borrowed[name];
  return checkpoint ? { checkpoint } : null;
}

async function planEvaluation(
  store: ObjectStore,
  run: string,
  recipe: Recipe,
  index: DataIndex,
): Promise<EvaluationPlan> {
  const { languages, maxExamples } = recipe.evaluate;
  const document = await keepDocument(store, run, 'evaluation-index', index);
  return { index: document, dataFingerprint: index.fingerprint, languages, maxExamples };
}
