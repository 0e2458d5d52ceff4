import type { Client } from '@temporalio/client';
import type { Activities } from '../../activities/types/activities.ts';
import type { ReplicaResult } from '../../activities/types/rounds.ts';
import { replicasSchema } from '../../src/recipe/replicas.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import { planOf, resultOf, runPlanOf } from './fake-activities.ts';

/** Rounds whose replicas answer at once: what is left is what Temporal has of them. */
export function wideRounds(slots: number, rounds: number) {
  const replicas = replicasSchema.parse({ number: slots, steps: 1 });
  const counted = { trained: 0, merged: 0 };
  const activities: Partial<Activities> = {
    plan: async ({ run }) => ({ ...runPlanOf(run), phases: [{ ...planOf(run, slots * rounds, 1), replicas }] }),
    beginRounds: async ({ plan, revision }) => ({
      checkpoint: resultOf({ plan, parent: null, revision, from: null, toStep: 0 }, 0).checkpoint,
      last: null,
    }),
    trainReplica: async ({ plan, round, slot }): Promise<ReplicaResult> => {
      counted.trained++;
      const key = `runs/${plan.run}/pretrain/r0/rounds/step-${String(round.to).padStart(8, '0')}/slot-${slot}.json`;
      const member = { slot, key, sha256: 'a'.repeat(64) };
      const figures = { loss: 1.2345, examplesPerSecond: 390.1, bytes: 338_000_000, down: 376_000_000 };
      return { slot, member, ...figures, attempt: '1-1-abcdef', deviceMs: 600_000 };
    },
    mergeRound: async ({ round, plan, revision }) => {
      counted.merged++;
      return resultOf({ plan, parent: null, revision, from: null, toStep: round.to }, round.to);
    },
  };
  return { activities, counted };
}

/** One history of several that a workflow went on in. */
export interface HistorySize {
  readonly workflow: string;
  readonly events: number;
  readonly bytes: number;
}

/** Runs it, and gives every history of the run and of its phase. */
export async function runWideRounds(client: Client, run: string): Promise<HistorySize[]> {
  const start = { taskQueue: 'siglip2', workflowId: run, args: [{}] as [object] };
  await (await client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', start)).result();
  const sizes: HistorySize[] = [];
  for await (const { workflowId, runId } of client.workflow.list({ query: `WorkflowId STARTS_WITH "${run}"` })) {
    const handle = client.workflow.getHandle(workflowId, runId);
    const { historyLength, raw } = await handle.describe();
    const bytes = Number(raw.workflowExecutionInfo!.historySizeBytes!);
    sizes.push({ workflow: workflowId.slice(run.length + 1) || 'run', events: historyLength, bytes });
  }
  return sizes;
}
