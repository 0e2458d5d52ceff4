import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { ReplicaHeartbeat } from '../../activities/types/rounds.ts';

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
  const { raw }: WorkflowExecutionDescription = await client.workflow.getHandle(workflowId).describe();
  const { loadedDataConverter } = client.options;
  const replicas = (raw.pendingActivities ?? []).filter(({ activityType }) => activityType?.name === 'trainReplica');
  return Promise.all(
    replicas.map(async ({ heartbeatDetails, attempt, state }) => {
      const [live] = (await decodeArrayFromPayloads(loadedDataConverter, heartbeatDetails?.payloads)) as [
        ReplicaHeartbeat | undefined,
      ];
      const common = { slot: live?.slot ?? null, attempt: attempt ?? 1, isStarted: state === started };
      return { ...common, doing: live?.doing ?? null, done: live?.done ?? 0 };
    }),
  );
}

/** PENDING_ACTIVITY_STATE_STARTED. */
const started = 2;
