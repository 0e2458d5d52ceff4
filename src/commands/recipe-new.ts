import { lookAt } from '../plan/look.ts';
import type { CheckpointOfRun } from '../recipe/curation.ts';
import { problemsError } from '../recipe/problem.ts';
import { phaseSettings } from '../recipe/settings.ts';
import { type TaskName, taskRecipe, tasks } from '../recipe/tasks.ts';
import type { DeviceMemory } from '../runtime/device-memory.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { peakBytes } from '../train/fits.ts';

export interface RecipeWanted {
  readonly task: string;
  /** RUN, RUN/PHASE or RUN/PHASE@STEP; of a run alone it is what `import` put there. */
  readonly from: string;
  readonly data: string;
  readonly evaluation?: string | undefined;
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
  const { device, open } = wanted;
  const task = taskNamed(wanted.task);
  const asked = { task, from: originOf(wanted.from), train: wanted.data, evaluation: wanted.evaluation };
  const looked = await lookAt(taskRecipe({ ...asked, batch: smallestBatch }), { open });
  if (looked.sight.problems.length > 0) throw problemsError(looked.sight.problems);
  if (looked.sight.unseen) throw looked.sight.unseen;
  const { facts, resolved } = looked;
  const { examples } = facts!;
  let batch: number = tasks[task].batch;
  while (batch > smallestBatch && batch * batchesOfEpoch > examples) batch /= 2;
  const settings = phaseSettings(resolved!, resolved!.phases[0]!, facts!);
  const bytes = (accumulate: number, remat: 'none' | 'blocks') =>
    peakBytes({ ...settings, accumulate, remat, batches: { ...settings.batches, batch } }, device!);
  const ways = (['none', 'blocks'] as const).flatMap((remat) =>
    [1, 2, 4, 8, 16, 32, 64, 128]
      .filter((accumulate) => batch / accumulate >= 2)
      .map((accumulate) => ({ accumulate, remat })),
  );
  const fits = device ? ways.find(({ accumulate, remat }) => bytes(accumulate, remat) <= device.bytes) : ways[0];
  if (!fits) {
    const { accumulate } = ways.at(-1)!;
    throw new RunnerError(
      'RecipeInvalid',
      `${task} of ${wanted.from} takes ${gigabytes(bytes(accumulate, 'blocks'))} at least, and the device has ${gigabytes(device!.bytes)}; allowed: a larger device, a smaller model, or --task ${task === 'lora' ? 'lit' : 'lora'}`,
    );
  }
  const { accumulate, remat } = fits;
  const recipe = taskRecipe({ ...asked, batch, accumulate, ...(remat === 'blocks' && { remat }) });
  const memory = device
    ? [`about ${gigabytes(bytes(accumulate, remat))} of memory, of ${gigabytes(device.bytes)}`]
    : [];
  return { recipe, notes: [`trains ${tasks[task].what}`, `rate: ${tasks[task].source}`, ...memory] };
}

function taskNamed(name: string): TaskName {
  if (Object.hasOwn(tasks, name)) return name as TaskName;
  throw new RunnerError('RecipeInvalid', `--task is ${name}; allowed: ${Object.keys(tasks).join(', ')}`);
}

function originOf(from: string): CheckpointOfRun {
  const [, run, phase = 'import', step] =
    /^([A-Za-z0-9_][\w.-]*)(?:\/([A-Za-z0-9_][\w.-]*)(?:@(\d+))?)?$/.exec(from) ?? [];
  if (run !== undefined) return { run, phase, ...(step !== undefined && { step: Number(step) }) };
  throw new RunnerError(
    'RecipeInvalid',
    `--from is ${from}; allowed: a run, RUN/PHASE or RUN/PHASE@STEP; for a folder type npm run siglip2 -- import FOLDER RUN first`,
  );
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
