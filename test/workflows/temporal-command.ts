import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Client } from '@temporalio/client';
import type { Activities } from '../../activities/types/activities.ts';
import { prepare } from '../../infra/setup/prepare.ts';

/** What the pinned `temporal` says to a command that a person types against a server. */
export async function typed(address: string, ...words: string[]): Promise<string> {
  const { temporal: binary } = await prepare(['temporal']);
  const env = { ...process.env, TEMPORAL_ADDRESS: address };
  const run = promisify(execFile)(binary!, words, { env });
  const { stdout, stderr } = await run.catch((error: { stdout: string; stderr: string }) => error);
  return stdout + stderr;
}

/** The workflow task that follows the result of the first activity of a name: where a reset may cut a history. */
export async function taskAfter(client: Client, workflowId: string, activity: keyof Activities): Promise<string> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  const first = events!.find(
    ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name === activity,
  );
  const done = events!.findIndex(({ activityTaskCompletedEventAttributes: completed }) =>
    completed?.scheduledEventId?.equals(first!.eventId!),
  );
  const task = events!.slice(done).find(({ workflowTaskCompletedEventAttributes: completed }) => completed);
  return String(task!.eventId);
}
