import { setTimeout as delay } from 'node:timers/promises';
import { type Client, WorkflowFailedError, WorkflowIdConflictPolicy } from '@temporalio/client';
import type { TaskResult } from '../../activities/types/evaluation.ts';
import type { EvaluationStatus } from '../../workflows/results.ts';
import type { EvaluationDocument } from '../evaluate/result.ts';
import type { Task } from '../evaluate/tasks/task.ts';
import { outOf } from '../runtime/count-text.ts';
import { RunnerError } from '../runtime/errors.ts';
import { hashJson } from '../runtime/hash.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { patientResult } from './patient-result.ts';

const taskQueue = 'siglip2';
const lookMs = 1000;

/** The same model and task have the same one, so whoever asks again follows what is at work, or has what is there. */
export const evaluationId = (model: string, task: Task): string =>
  `evaluate-${model.replaceAll(/[^A-Za-z0-9._-]+/g, '-').slice(0, 100)}-${task.name}-${hashJson({ model, task }).slice(0, 8)}`;

/**
 * Has a model evaluated by a task, whichever of it is there already. `say` is told how far it is, whenever that changes. What
 * the workflow failed with is thrown as the one sentence that it is.
 *
 * @param model RUN/PHASE, RUN/PHASE@STEP or a folder on the workers
 */
export async function evaluate(
  client: Client,
  { model, task }: { readonly model: string; readonly task: Task },
  say: (line: string) => void,
  everyMs = lookMs,
): Promise<TaskResult> {
  const handle = await startEvaluation(client, { model, task });
  const ended = patientResult(handle).then(
    (result) => ({ result: result as TaskResult }),
    (error: unknown) => ({ error }),
  );
  let said = '';
  for (;;) {
    const end = await Promise.race([ended, delay(everyMs, null)]);
    if (end && 'result' in end) return end.result;
    if (end) throw sentenceOf(end.error);
    const line = await Promise.race([progress(client, handle.workflowId), delay(2 * lookMs, said)]);
    if (line !== said) say(line);
    said = line;
  }
}

/** Starts it, or finds the one that is open. */
export const startEvaluation = (client: Client, input: { readonly model: string; readonly task: Task }) =>
  client.workflow.start('siglip2Evaluate', {
    ...{ taskQueue, workflowId: evaluationId(input.model, input.task), args: [input] },
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
  });

async function progress(client: Client, workflowId: string): Promise<string> {
  const handle = client.workflow.getHandle(workflowId);
  const status = await handle.query<EvaluationStatus>('evaluation').catch(() => null);
  if (!status) return 'no worker answers: npm run worker starts one';
  const { pendingActivities = [] } = (await handle.describe()).raw;
  const failed = pendingActivities?.find(({ lastFailure }) => lastFailure?.message);
  const { state, parts, figures } = status;
  const where =
    state === 'embedding'
      ? `${outOf(parts.done, parts.all, 'part')} of features`
      : state === 'evaluating'
        ? outOf(figures.done, figures.all, 'figure')
        : state;
  return failed ? `${where}; tried again: ${failed.lastFailure!.message}` : where;
}

function sentenceOf(error: unknown): unknown {
  if (!(error instanceof WorkflowFailedError)) return error;
  const { type, message = 'it failed' } = (error.cause ?? {}) as { type?: string; message?: string };
  const known = ['DataContract', 'SetupMissing', 'ObjectMissing', 'CheckpointDamaged', 'NonFinite'] as const;
  return new RunnerError(known.find((one) => one === type) ?? 'RecipeInvalid', message, { cause: error });
}

/** The document that an evaluation wrote. */
export async function readEvaluation(store: Pick<ObjectStore, 'get'>, key: string): Promise<EvaluationDocument> {
  return JSON.parse((await store.get(key)).toString('utf8')) as EvaluationDocument;
}
