import { defaultPayloadConverter } from '@temporalio/common';
import type { ShardInput, ShardResult } from '../../activities/types/shard.ts';
import type { Site } from '../faults/harness.ts';
import { verifyCommits } from '../faults/verify.ts';

/** A shard as the history of its phase has it. */
export interface ShardRecord {
  readonly from: number;
  readonly to: number;
  readonly attempt: string;
}

/** The shards of a phase that were completed, in the order in which they began. Throws where one began and never ended. */
export async function shardsOf({ client }: Site, phase: string): Promise<ShardRecord[]> {
  const { events } = await client.workflow.getHandle(phase).fetchHistory();
  const scheduled = new Map<string, number>();
  const shards: ShardRecord[] = [];
  for (const event of events ?? []) {
    const { activityTaskScheduledEventAttributes: begins, activityTaskCompletedEventAttributes: ends } = event;
    if (begins?.activityType?.name === 'trainShard') {
      const input = decode<ShardInput>(begins.input?.payloads?.[0]);
      scheduled.set(String(event.eventId), input.from?.step ?? input.plan.from.step);
    }
    const from = scheduled.get(String(ends?.scheduledEventId));
    if (from === undefined) continue;
    const { checkpoint, attempt } = decode<ShardResult>(ends!.result?.payloads?.[0]);
    shards.push({ from, to: checkpoint.step, attempt });
  }
  if (shards.length !== scheduled.size)
    throw new Error(`${phase} began ${scheduled.size} shards, and ${shards.length} ended`);
  return shards;
}

const decode = <T>(payload: unknown) => defaultPayloadConverter.fromPayload<T>(payload as never);

/**
 * What must hold of a run whatever was killed: its shards follow one another without gap or overlap up to `total`, every
 * commit is whole and follows the one before, and no step was committed by two workers. Throws at the first that does not.
 */
export async function checkRun(site: Site, run: string, phase: string, total: number, told: readonly string[]) {
  const shards = await shardsOf(site, `${run}/${phase}`);
  let at = 0;
  for (const { from, to } of shards) {
    if (from !== at || to <= from) throw new Error(`${run}: a shard from ${from} to ${to} follows step ${at}`);
    at = to;
  }
  if (at !== total) throw new Error(`${run}: its shards end at step ${at} of ${total}`);
  await verifyCommits(site.store, run);
  const own = told.filter((commit) => commit.startsWith(`${run}/`));
  const twice = own.filter((commit, i) => own.indexOf(commit) !== i);
  if (twice.length > 0) throw new Error(`two workers have committed ${twice.join(', ')}`);
  return shards;
}
