import type { Client, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { ShardHeartbeat } from '../../activities/types.ts';
import type { Status } from '../../workflows/messages.ts';
import type { RecipeResult, siglip2Recipe } from '../../workflows/recipe.ts';
import type { Progress } from '../setup/progress.ts';

/** Waits for the end of a run, telling where it stands: in place on a terminal, else a line every ten seconds. */
export async function watchRun(
  client: Client,
  handle: WorkflowHandleWithFirstExecutionRunId<typeof siglip2Recipe>,
  progress: Progress,
): Promise<RecipeResult> {
  let line = 'planning';
  const timer = setInterval(() => {
    // A server or a worker that is away is no reason to stop watching: the run waits for it too.
    describe(client, handle.workflowId).then(
      (now) => {
        line = now;
      },
      () => {},
    );
  }, 1000);
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

async function describe(client: Client, run: string): Promise<string> {
  const status = await client.workflow.getHandle(run).query<Status>('status');
  if (status.state !== 'training' || !status.phase) return status.state;
  const { raw } = await client.workflow.getHandle(`${run}/${status.phase}`).describe();
  const payload = raw.pendingActivities?.[0]?.heartbeatDetails?.payloads?.[0];
  const live = payload && defaultPayloadConverter.fromPayload<Partial<ShardHeartbeat>>(payload);
  const step = Math.max(live?.step ?? 0, status.step);
  const rate = live?.examplesPerSecond || status.examplesPerSecond;
  const figures = rate ? [`loss ${(live?.loss || status.loss || 0).toFixed(3)}`, `${rate.toFixed(0)} examples/s`] : [];
  return [`step ${step} of ${status.total}`, ...figures, live?.doing ?? ''].filter(Boolean).join('  ');
}
