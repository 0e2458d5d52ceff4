import { setTimeout as delay } from 'node:timers/promises';
import { type Client, WorkflowFailedError, WorkflowIdConflictPolicy } from '@temporalio/client';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { AnnotationResult, AnnotationStatus } from '../../workflows/results.ts';
import type { AnnotationSettings } from '../annotation/settings.ts';
import { counted, number, outOf } from '../runtime/count-text.ts';
import { RunnerError } from '../runtime/errors.ts';
import { hashJson } from '../runtime/hash.ts';
import { patientResult } from './patient-result.ts';

const taskQueue = 'siglip2';
const lookMs = 2000;

/** Annotations of one place are one after the other, whoever starts them. */
export const annotationId = (out: string): string => `annotate-${out.replaceAll('/', '-')}`;

/**
 * Starts an annotation, or finds the one that is open with the same settings. RecipeInvalid where one with others is open.
 *
 * @returns the ID of its workflow
 */
export async function startAnnotation(client: Client, settings: AnnotationSettings): Promise<string> {
  const workflowId = annotationId(settings.out);
  const settingsHash = hashJson(settings);
  try {
    await client.workflow.start('siglip2Annotate', {
      ...{ taskQueue, workflowId, args: [settings], memo: { settings: settingsHash } },
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const { memo } = await client.workflow.getHandle(workflowId).describe();
    if (memo?.settings !== settingsHash)
      throw new RunnerError(
        'RecipeInvalid',
        `${workflowId} is open with other settings: wait for its end, or temporal workflow cancel --workflow-id ${workflowId}`,
      );
  }
  return workflowId;
}

/**
 * Waits for the end of an annotation. `say` is told how far it is, whenever that changes. What the workflow failed with is
 * thrown as the one sentence that it is.
 */
export async function followAnnotation(
  client: Client,
  workflowId: string,
  say: (line: string) => void,
  everyMs = lookMs,
): Promise<AnnotationResult> {
  const handle = client.workflow.getHandle(workflowId);
  const ended = patientResult(handle).then(
    (result) => ({ result: result as AnnotationResult }),
    (error: unknown) => ({ error }),
  );
  let said = '';
  for (;;) {
    const end = await Promise.race([ended, delay(everyMs, null, { ref: true })]);
    if (end && 'result' in end) return end.result;
    if (end) throw sentenceOf(end.error);
    const line = await progress(client, workflowId);
    if (line !== said) say(line);
    said = line;
  }
}

function sentenceOf(error: unknown): unknown {
  if (!(error instanceof WorkflowFailedError)) return error;
  const { type, message = 'it failed' } = (error.cause ?? {}) as { type?: string; message?: string };
  const code = type === 'DataContract' || type === 'SetupMissing' ? type : 'RecipeInvalid';
  return new RunnerError(code, message, { cause: error });
}

/** "3 of 10 shards, 12,345 pictures; at work: 700 pictures of shard 4". */
async function progress(client: Client, workflowId: string): Promise<string> {
  const handle = client.workflow.getHandle(workflowId);
  const status = await Promise.race([
    handle.query<AnnotationStatus>('annotation').catch(() => null),
    delay(lookMs, null, { ref: false }),
  ]);
  const where = status
    ? `${outOf(status.shards.done, status.shards.all, 'shard')}, ${counted(status.counts?.pictures ?? 0, 'picture')}`
    : 'no worker answers: npm run worker starts one';
  const { raw } = await handle.describe();
  const beats = await Promise.all(
    (raw.pendingActivities ?? []).map(async ({ heartbeatDetails, lastFailure }) => {
      const [live] = await decodeArrayFromPayloads(client.options.loadedDataConverter, heartbeatDetails?.payloads);
      const { shard, doing, pictures } = (live ?? {}) as Partial<Record<'shard' | 'doing' | 'pictures', unknown>>;
      if (lastFailure?.message) return `tried again: ${lastFailure.message}`;
      return doing === undefined ? [] : `shard ${shard}: ${doing}, ${counted(Number(pictures), 'picture')}`;
    }),
  );
  const [first, ...others] = beats.flat();
  return [
    where,
    ...(first === undefined ? [] : [first]),
    ...(others.length > 0 ? [`and ${others.length} more`] : []),
  ].join('; ');
}

/** What an annotation came to, and the line for the recipe. */
export function formatAnnotation({ shards, out, counts, broken }: AnnotationResult): string {
  if (!counts) return `no shard was annotated\n`;
  const { pictures, unasked, withRegions, queries, boxes } = counts;
  const { proposed, kept, belowThreshold, outside, overlapping, beyondMost, unsure } = boxes;
  const lines = [
    `${counted(kept, 'region')} in ${outOf(withRegions, pictures, 'picture')} of ${counted(shards.all, 'shard')}, below ${out}/`,
    `asked: ${counted(queries.ngrams, 'query', 'queries')} of captions, ${number(queries.categories)} of categories; nothing to ask of ${counted(unasked, 'picture')}`,
    `of ${counted(proposed, 'box', 'boxes')} dropped: ${number(belowThreshold)} with low scores, ${number(outside)} outside of their picture, ${number(overlapping)} under better ones, ${number(beyondMost)} beyond the most, ${number(unsure)} in pictures without one good box`,
  ];
  if (broken) {
    lines.push(`${number(broken.members)}${broken.orMore ? ' or more' : ''} members could not be used:`);
    for (const { reason, members, example } of broken.reasons)
      lines.push(`  ${counted(members, 'time')}: ${reason}${example === '' ? '' : ` (${example})`}`);
  }
  lines.push('Put this into the data of the recipe:', `  "regions": ${JSON.stringify(out)}`);
  return `${lines.join('\n')}\n`;
}
