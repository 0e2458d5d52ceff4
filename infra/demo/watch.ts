import type { Client, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { readRunStatus } from '../../src/commands/run-status.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import type { RecipeResult, siglip2Recipe } from '../../workflows/recipe.ts';
import type { Progress } from '../setup/progress.ts';

/** Waits for the end of a run, telling where it stands: in place on a terminal, else a line every ten seconds. */
export async function watchRun(
  client: Client,
  store: ObjectStore,
  handle: WorkflowHandleWithFirstExecutionRunId<typeof siglip2Recipe>,
  progress: Progress,
): Promise<RecipeResult> {
  let line = 'planning';
  let asking = false;
  // Asking costs the training some of the machine: not too often.
  const timer = setInterval(async () => {
    if (asking) return;
    asking = true;
    // A server or a worker that is away is no reason to stop watching: the run waits for it too.
    line = await describe(client, store, handle.workflowId).catch(() => line);
    asking = false;
  }, 3000);
  try {
    return await progress.during(
      'Run',
      () => handle.result(),
      async () => line,
    );
  } finally {
    clearInterval(timer);
  }
}

async function describe(client: Client, store: ObjectStore, run: string): Promise<string> {
  const { workflow, pending } = await readRunStatus(client, store, run);
  const live = pending.find(({ activity }) => activity === 'trainShard')?.live;
  if (!workflow) return live?.doing ?? 'waiting for a worker';
  if (workflow.state !== 'training') return workflow.state;
  const rate = live?.examplesPerSecond || workflow.examplesPerSecond;
  const figures = rate
    ? [`loss ${(live?.loss || workflow.loss || 0).toFixed(3)}`, `${rate.toFixed(0)} examples/s`]
    : [];
  const step = Math.max(live?.step ?? 0, workflow.step);
  return [`step ${step} of ${workflow.total}`, ...figures, live?.doing ?? ''].filter(Boolean).join('  ');
}
