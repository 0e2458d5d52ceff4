import { heldModel } from '../plan/held-model.ts';
import { lookAt } from '../plan/look.ts';
import { checkpointFor } from '../plan/origin.ts';
import type { CheckpointOfRun } from '../recipe/curation.ts';
import { withModels } from '../recipe/models.ts';
import { parseRecipe, problemsWith } from '../recipe/parse.ts';
import { type Problem, problemsError } from '../recipe/problem.ts';
import type { Recipe } from '../recipe/schema.ts';
import { type DataFacts, phaseSettings } from '../recipe/settings.ts';
import { type Task, type TaskName, taskRecipe, tasks } from '../recipe/tasks.ts';
import { number } from '../runtime/count-text.ts';
import type { DeviceMemory } from '../runtime/device-memory.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { compileProblems } from '../train/fits.ts';
import { keepsAll } from '../train/kept-features.ts';
import { byModel } from './recipe-by-model.ts';
import { fitted, type Way } from './recipe-fit.ts';

export interface RecipeWanted {
  readonly task: string;
  /** RUN, RUN/PHASE or RUN/PHASE@STEP; of a run alone it is what `import` put there. */
  readonly from: string;
  readonly data: string;
  readonly evaluation?: string | undefined;
  /** In pixels, of the task of that name. */
  readonly resolution?: string | undefined;
  /** As `from`, of the model that chooses examples. */
  readonly teacher?: string | undefined;
  /** What will train; null where that is not known. */
  readonly device: DeviceMemory | null;
  readonly open: () => ObjectStore;
}

/** So many batches make an epoch at least, or a batch is made smaller. */
const batchesOfEpoch = 10;
const smallestBatch = 8;

/**
 * `siglip2 recipe new`: a recipe for a task that is right for a model, data and a device, and why it is as it is. RecipeInvalid
 * with what is wrong with any of them.
 */
export async function newRecipe(wanted: RecipeWanted): Promise<{ recipe: object; notes: string[] }> {
  const { device } = wanted;
  const task = taskNamed(wanted);
  const preset: Task = tasks[task];
  const from = checkpointNamed('--from', wanted.from);
  const scorer = wanted.teacher === undefined ? undefined : checkpointNamed('--teacher', wanted.teacher);
  const store = wanted.open();
  const heldBy = async (what: string, from: CheckpointOfRun) =>
    heldModel(store, await checkpointFor(store, { what, from }));
  const origin = await heldBy('--from is', from);
  const teacher = scorer && { from: scorer, held: await heldBy('--teacher is', scorer) };
  const own = byModel(task, { origin, resolution: wanted.resolution, teacher });
  const asked = { task, from, train: wanted.data, evaluation: wanted.evaluation, ...own.phase };
  // How many examples there are is not known yet, so its length is one that any have.
  const first = { ...taskRecipe({ ...asked, batch: smallestBatch }), schedule: { total: { steps: 1 } } };
  const looked = await lookAt(first, { open: () => store });
  if (looked.sight.problems.length > 0) throw problemsError(looked.sight.problems);
  if (looked.sight.unseen) throw looked.sight.unseen;
  const facts = looked.facts!;
  let { batch } = preset;
  while (batch > smallestBatch && batch * batchesOfEpoch > facts.examples) batch /= 2;
  // NaFlex shows a picture in another number of patches each time.
  const keeps = preset.frozenPictures && !own.phase.vision && keepsAll(origin, facts.examples);
  const written = ({ accumulate, remat }: Way) =>
    taskRecipe({
      ...asked,
      batch,
      accumulate,
      ...(remat === 'blocks' && { remat }),
      ...(keeps && { frozenFeatures: 'kept' }),
    });
  const resolved = (way: Way) => withModels(parseRecipe(written(way)), looked.held);
  const { way, bytes } = fitted(batch, device, (way) => {
    const recipe = resolved(way);
    return phaseSettings(recipe, recipe.phases[0]!, facts);
  });
  if (!way) {
    const { lighter } = preset;
    throw new RunnerError(
      'RecipeInvalid',
      `${task} of ${wanted.from} takes ${gigabytes(bytes)} at least, and the device has ${gigabytes(device!.bytes)}; allowed: a larger device${lighter ? `, a smaller model, or ${lighter}` : ' or a smaller model'}`,
    );
  }
  requireRight(resolved(way), facts);
  const memory = device ? [`about ${gigabytes(bytes)} of memory, of ${gigabytes(device.bytes)}`] : [];
  const kept = `frozenFeatures: what the image tower makes of ${number(facts.examples)} pictures is kept from the first epoch on`;
  const notes = [
    `trains ${preset.what}`,
    `rate: ${preset.source}`,
    ...own.notes(batch),
    ...(keeps ? [kept] : []),
    ...memory,
  ];
  return { recipe: written(way), notes };
}

/** What `plan` would say of it that depends on its batch and its length. */
function requireRight(recipe: Recipe, facts: DataFacts): void {
  const problems: Problem[] = problemsWith(recipe, facts);
  if (problems.length === 0)
    problems.push(...compileProblems(recipe, facts).map((message) => ({ fields: ['compiles'], message })));
  if (problems.length > 0) throw problemsError(problems);
}

/** The task, with what is asked for it and for no other. */
function taskNamed({ task, resolution, teacher }: RecipeWanted): TaskName {
  const wrong = (message: string) => new RunnerError('RecipeInvalid', message);
  if (!Object.hasOwn(tasks, task)) throw wrong(`--task is ${task}; allowed: ${Object.keys(tasks).join(', ')}`);
  if (resolution !== undefined && task !== 'resolution')
    throw wrong(`--resolution is ${resolution}; it is allowed with --task resolution, not with --task ${task}`);
  if (teacher !== undefined && task !== 'distill')
    throw wrong(`--teacher is ${teacher}; it is allowed with --task distill, not with --task ${task}`);
  if (teacher === undefined && task === 'distill')
    throw wrong('--teacher is missing; needed with --task distill: RUN, RUN/PHASE or RUN/PHASE@STEP of a larger model');
  return task as TaskName;
}

function checkpointNamed(option: string, said: string): CheckpointOfRun {
  const [, run, phase = 'import', step] =
    /^([A-Za-z0-9_][\w.-]*)(?:\/([A-Za-z0-9_][\w.-]*)(?:@(\d+))?)?$/.exec(said) ?? [];
  if (run !== undefined) return { run, phase, ...(step !== undefined && { step: Number(step) }) };
  throw new RunnerError(
    'RecipeInvalid',
    `${option} is ${said}; allowed: a run, RUN/PHASE or RUN/PHASE@STEP; for a folder type npm run siglip2 -- import FOLDER RUN first`,
  );
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
