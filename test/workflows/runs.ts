import { setTimeout as delay } from 'node:timers/promises';
import { type Client, WorkflowFailedError } from '@temporalio/client';
import { expect } from 'vitest';
import type { RunStatus } from '../../workflows/messages.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import type { PhaseEnd } from '../../workflows/results.ts';

export const start = (client: Client, run: string, recipe: unknown = {}) =>
  client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', {
    taskQueue: 'siglip2',
    workflowId: run,
    args: [recipe],
  });

export type RecipeHandle = Awaited<ReturnType<typeof start>>;
export const status = (run: RecipeHandle) => run.query<RunStatus>('status');

export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const began = Date.now(); !(await holds()); ) {
    if (Date.now() - began > 20_000) throw new Error('it did not come to pass within 20 s');
    await delay(50);
  }
}

/** The status of a run once one of its phases waits for a person. */
export async function waiting(run: RecipeHandle): Promise<RunStatus> {
  await until(async () => (await status(run)).state === 'waiting');
  return status(run);
}

/** The checkpoint that a phase ends with. */
export const checkpointOf = async (phase: { result(): Promise<unknown> }) =>
  ((await phase.result()) as PhaseEnd).checkpoint;

/** What a person sees of a failed workflow. */
export async function failureOf(result: Promise<unknown>): Promise<{ message: string; type?: string; stack: string }> {
  const error = await result.then(
    () => null,
    (failed) => failed,
  );
  expect(error).toBeInstanceOf(WorkflowFailedError);
  const { cause } = error as WorkflowFailedError;
  const { failure } = cause as { failure?: { stackTrace?: string } };
  return { message: cause!.message, type: (cause as { type?: string }).type!, stack: failure?.stackTrace ?? '' };
}
