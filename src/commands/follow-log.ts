import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { LogOf, LogReader, ReadLine } from '../run-logs/read.ts';

/** Between two looks: each is a listing, 1,200 an hour, of half a cent on AWS. */
const lookMs = 3000;
/** A worker sends what an activity said last some seconds after it (`usualLimits`). */
const lastLinesMs = 8000;

export type State = 'open' | 'ended' | 'ended just now' | 'unknown';

export interface Following {
  readonly state: () => Promise<State>;
  readonly since: number | undefined;
  /** False when nobody reads any more. */
  readonly isRead: () => boolean;
  /** Tests: how one waits, in milliseconds. */
  readonly wait?: (ms: number) => Promise<unknown>;
}

/** Shows what comes, look by look, until the run has ended and its last lines had the time to come. */
export async function followLog(
  reader: Pick<LogReader, 'look' | 'found'>,
  show: (line: ReadLine) => void,
  { state, since, isRead, wait = delay }: Following,
): Promise<void> {
  for (let ended = false; !ended && isRead(); ) {
    const now = await state();
    if (now === 'unknown' && !reader.found) return;
    ended = now !== 'open';
    if (now !== 'ended') await wait(now === 'ended just now' ? lastLinesMs : lookMs);
    for await (const line of reader.look(since)) show(line);
  }
}

/** Whether a run is at work, by Temporal: of a phase by its own workflow, where there is one, and else by the run's. */
export async function stateOf(client: Pick<Client, 'workflow'>, { run, phase }: LogOf): Promise<State> {
  for (const id of phase === undefined ? [run] : [`${run}/${phase}`, run]) {
    try {
      const { status, closeTime } = await client.workflow.getHandle(id).describe();
      if (status.name === 'RUNNING' || status.name === 'PAUSED') return 'open';
      return closeTime && Date.now() - closeTime.getTime() < 60_000 ? 'ended just now' : 'ended';
    } catch (error) {
      // While Temporal is away nobody knows, and it goes on.
      if ((error as Error).name !== 'WorkflowNotFoundError') return 'open';
    }
  }
  return 'unknown';
}
