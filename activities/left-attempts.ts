import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AsyncCompletionClient, type AsyncCompletionClientOptions } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { machine } from '../src/runtime/lock.mjs';
import { deadScratch } from '../src/runtime/scratch.ts';
import type { ActivityLog } from './dependencies.ts';

/** An attempt at an activity, by what Temporal knows it by. */
export interface LeftAttempt {
  readonly activity: string;
  readonly taskQueue: string;
  /** In base64. */
  readonly token: string;
}

/**
 * Notes down an attempt that begins. Should this worker be killed, the next one on this machine says so, and nobody waits
 * for the heartbeats of a process that is gone. Returns what takes the note away. Without it the timeout ends the attempt.
 */
export function noteAttempt(scratch: string, id: string, attempt: LeftAttempt): () => void {
  const file = join(scratch, 'attempts', `${id}.json`);
  try {
    mkdirSync(join(scratch, 'attempts'), { recursive: true });
    writeFileSync(file, JSON.stringify({ ...attempt, machine: machine() }), { mode: 0o600 });
  } catch {
    // A full disk, say: what matters of it is said where it matters.
  }
  return () => rmSync(file, { force: true });
}

/** The attempts of workers that were killed on this machine. Folders of other containers say nothing about who lives. */
export function leftAttempts(parent: string): LeftAttempt[] {
  const here = machine();
  return deadScratch(parent).flatMap((folder) => {
    try {
      const notes = readdirSync(join(folder, 'attempts')).map(
        (name) => JSON.parse(readFileSync(join(folder, 'attempts', name), 'utf8')) as LeftAttempt & { machine: string },
      );
      return notes.filter((note) => note.machine === here && here !== 'unknown');
    } catch {
      return [];
    }
  });
}

/** Says of attempts that they have failed, so that the next ones are made now. Of one that is over already it is no matter. */
export async function endAttempts(
  left: readonly LeftAttempt[],
  options: AsyncCompletionClientOptions,
  log: ActivityLog,
): Promise<void> {
  const client = new AsyncCompletionClient(options);
  const killed = ApplicationFailure.create({
    message: 'the worker was killed',
    type: 'Unexpected',
    // It was no fault of the activity, which needs no rest.
    nextRetryDelay: '100ms',
  });
  killed.stack = '';
  await Promise.all(
    left.map(async ({ activity, token }) => {
      try {
        await client.fail(Buffer.from(token, 'base64'), killed);
        log.info({ activity }, 'an attempt of a worker that was killed is made again');
      } catch (error) {
        log.info({ activity, reason: (error as Error).message }, 'an attempt of a killed worker was over');
      }
    }),
  );
}
