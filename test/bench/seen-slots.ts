import type { Client } from '@temporalio/client';
import { pendingOf } from '../../src/commands/run-status.ts';

/** A slot that is not in, as Temporal knows it. */
export interface SeenSlot {
  /** Null before its first heartbeat of any attempt. */
  readonly slot: number | null;
  readonly attempt: number;
  /** Some worker has this attempt. */
  readonly isStarted: boolean;
  /** By the last heartbeat of this attempt; steps that are made. */
  readonly doing: string | null;
  readonly done: number;
}

export async function seenSlots(client: Client, workflowId: string): Promise<SeenSlot[]> {
  const { raw } = await client.workflow.getHandle(workflowId).describe();
  const pending = await pendingOf(client, raw.pendingActivities, workflowId, null);
  return pending
    .filter(({ activity }) => activity === 'trainReplica')
    .map(({ live, attempt, waiting }) => ({
      ...{ slot: live?.slot ?? null, attempt, isStarted: !waiting },
      ...{ doing: live?.doing ?? null, done: live?.done ?? 0 },
    }));
}
