import { setTimeout as delay } from 'node:timers/promises';
import { type Client, WorkflowExecutionAlreadyStartedError, WorkflowFailedError } from '@temporalio/client';
import type { Status } from '../../workflows/messages.ts';
import { RunnerError } from '../runtime/errors.ts';
import { canonicalJson } from '../runtime/hash.ts';
import { print, say } from './output.ts';
import { patientResult } from './patient-result.ts';
import { connect } from './temporal-client.ts';

interface Known {
  /** Under which its settings are kept with the workflow, and what it is called. */
  readonly memo: string;
  readonly what: string;
  /** What a person does when another one of that name is open. */
  readonly other: string;
}

/**
 * Starts a workflow of these settings, or joins it, and follows it to its report; null where nobody waits for that.
 *
 * @param named what the workflow does, as a sentence begins with it
 */
export async function madeBy<T>(
  type: string,
  name: string,
  settings: object,
  { named, detach, ...known }: Known & { readonly named: string; readonly detach: boolean },
): Promise<T | null> {
  const client = await connect();
  if (!client)
    throw new RunnerError('SetupMissing', `${named} is a workflow and needs Temporal: npm run up starts it here`);
  try {
    await startOrJoin(client, type, name, settings, known);
    if (!detach) return await followToReport<T>(client, name);
    print(`${name} runs; the same line again follows it\n`);
    return null;
  } finally {
    await client.connection.close();
  }
}

/** Starts a workflow of these settings; one that is open under the name is joined, when it is the same one. */
async function startOrJoin(
  client: Client,
  type: string,
  name: string,
  settings: object,
  { memo: kept, what, other }: Known,
): Promise<void> {
  try {
    const memo = { [kept]: canonicalJson(settings) };
    await client.workflow.start(type, { taskQueue: 'siglip2', workflowId: name, args: [settings], memo });
    say(`${name} is started; Ctrl-C leaves it running, and the same line again follows it`);
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const { memo, type: open } = await client.workflow.getHandle(name).describe();
    if (open !== type || (memo?.[kept] !== undefined && memo[kept] !== canonicalJson(settings)))
      throw new RunnerError('RunNameTaken', `${name} is running already, and is another ${what}: ${other}`);
    say(`${name} is running already; this follows it`);
  }
}

/** Says what a workflow does whenever that changes, until it has ended with a report. */
async function followToReport<T>(client: Client, name: string): Promise<T> {
  const handle = client.workflow.getHandle(name);
  let ended = false;
  const result = patientResult(handle).finally(() => {
    ended = true;
  });
  result.catch(() => {});
  let said = '';
  while (!ended) {
    const status = await client.withDeadline(Date.now() + 2000, () => handle.query<Status>('status')).catch(() => null);
    const now = status?.doing ?? (status ? '' : 'no worker answers: npm run worker starts one');
    if (now !== said && now !== '' && !ended) say(now);
    said = now;
    await Promise.race([delay(1000), result.catch(() => {})]);
  }
  try {
    return (await result) as T;
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { message = error.message } = error.cause ?? {};
    throw new RunnerError('DataContract', message, { cause: error });
  }
}
