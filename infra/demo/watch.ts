import type { Client, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { patientResult } from '../../src/commands/patient-result.ts';
import { type RunStatus, readRunStatus } from '../../src/commands/run-status.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import type { RecipeResult } from '../../workflows/results.ts';
import type { Progress } from '../setup/progress.ts';

/** Waits for the end of a run, telling where it stands: in place on a terminal, else a line every ten seconds. */
export async function watchRun(
  client: Client,
  store: ObjectStore,
  handle: WorkflowHandleWithFirstExecutionRunId<typeof siglip2Recipe>,
  progress: Progress,
): Promise<RecipeResult> {
  let line = 'planning';
  let giveUp = (_: Error) => {};
  const broken = new Promise<never>((_, reject) => {
    giveUp = reject;
  });
  let asking = false;
  // Asking costs the training some of the machine: not too often.
  const timer = setInterval(async () => {
    if (asking) return;
    asking = true;
    // A server or a worker that is away is no reason to stop watching: the run waits for it too.
    const status = await readRunStatus(client, store, handle.workflowId).catch(() => null);
    if (status) line = runLine(status);
    // Nobody stands by to mend it and to say retryPhase.
    if (status?.workflow?.state === 'waiting') {
      giveUp(new RunnerError('RunWaits', `the run waits, since a phase failed: ${status.workflow.failure}`));
    }
    asking = false;
  }, 3000);
  try {
    return await progress.during(
      'Run',
      () => Promise.race([patientResult(handle), broken]),
      async () => line,
    );
  } finally {
    clearInterval(timer);
  }
}

/** A run in a line: what it is at, how far, how fast, and what it waits for. */
export function runLine({ workflow, pending }: Pick<RunStatus, 'workflow' | 'pending'>): string {
  // Of phases side by side the one that has the device: the others wait for it.
  const shards = pending.filter(({ activity, waiting }) => activity === 'trainShard' && !waiting);
  const work = shards.find(({ live }) => live?.examplesPerSecond) ?? shards[0];
  const live = work?.live;
  if (!workflow) return live?.doing ?? 'waiting for a worker';
  // A phase may be scored or evaluated while others are trained.
  if (workflow.state !== 'training' && !work) {
    const other = pending.find(({ live }) => live?.doing);
    return [workflow.state, other?.live?.doing ?? ''].filter(Boolean).join('  ');
  }
  const rate = live?.examplesPerSecond || workflow.examplesPerSecond;
  const figures = rate
    ? [`loss ${(live?.loss || workflow.loss || 0).toFixed(3)}`, `${rate.toFixed(0)} examples/s`]
    : [];
  // A run that was left has the device first: without a word this one would stand at 0 for as long as that takes.
  const queued = !work && pending.some((of) => of.activity === 'trainShard' && of.nextAttemptSeconds === null);
  const doing = live?.doing ?? (queued ? 'waiting for a device: another run may have it' : '');
  const isTold = !work || work.phase === workflow.phase;
  const step = Math.max(live?.step ?? 0, isTold ? workflow.step : 0);
  const where = isTold ? `${workflow.phase} ${step} of ${workflow.total}` : `${work.phase} ${step}`;
  return [where, ...figures, doing].filter(Boolean).join('  ');
}
