import { join } from 'node:path';
import { z } from 'zod';
import { readCommit } from '../src/checkpoint/commits.ts';
import { toRef } from '../src/checkpoint/documents.ts';
import { importByContent } from '../src/checkpoint/hugging-face/import-by-content.ts';
import { importPhase } from '../src/checkpoint/hugging-face/import-phase.ts';
import { evaluationPrefix } from '../src/checkpoint/keys.ts';
import { readManifest } from '../src/checkpoint/manifest.ts';
import { findNamed } from '../src/checkpoint/names.ts';
import { pin, unpin } from '../src/checkpoint/pins.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import { classParts, imageParts } from '../src/evaluate/features/spec.ts';
import { specsOf } from '../src/evaluate/plan-task.ts';
import type { TaskPlan } from '../src/evaluate/task-plan.ts';
import { parseTask } from '../src/evaluate/tasks/task.ts';
import { heldDecoder } from '../src/plan/held-decoder.ts';
import { heldModel } from '../src/plan/held-model.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import { hashJson } from '../src/runtime/hash.ts';
import { probeConditionalWrites } from '../src/storage/conditional-writes.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { keepDocumentBelow, readDocumentAs } from './documents.ts';
import { dueHolder, heldMs } from './evaluation-due.ts';
import { trainedOnBy } from './evaluation-trained-on.ts';
import { beat } from './heartbeat.ts';
import type { PlannedEvaluation } from './types/evaluation.ts';

/** Whose pin it is. */
export const holderOf = ({ id }: Pick<TaskPlan, 'id'>): string => `evaluate-${id}`;

const bestSchema = z.strictObject({ evaluator: z.string(), figure: z.string() });
const documentSchema = z.strictObject({ key: z.string(), sha256: z.string() });
const inputSchema = z.strictObject({
  model: z.string().min(1).max(4096),
  task: z.unknown(),
  best: bestSchema.optional(),
});

/**
 * Checks a task against model and data, before anything is spent, and keeps what it comes to in the bucket. Calling it again
 * changes nothing. Errors: RecipeInvalid, DataContract, ObjectMissing.
 */
export async function planEvaluation(deps: Dependencies, input: unknown, attempt: Attempt): Promise<PlannedEvaluation> {
  const { store, log, codeVersion } = deps;
  const heart = beat(attempt);
  let letGo = async () => {};
  try {
    const given = inputSchema.safeParse(input);
    if (!given.success) throw new RunnerError('RecipeInvalid', oneInput);
    const task = parseTask(await taskIn(deps, given.data.task));
    await probeConditionalWrites(store);
    const checkpoint = await checkpointOf(deps, given.data.model, attempt);
    // What the shard had held it by, for a task of its run.
    if (documentSchema.safeParse(given.data.task).success) letGo = () => unpin(store, checkpoint, dueHolder(task.name));
    const { name, model } = await heldModel(store, checkpoint);
    const { resize } = (await readManifest(store, checkpoint)).manifest;
    // What transformers' processors do is how a model of others is used; ours say how they were trained.
    const trainedBy = resize ?? (checkpoint.phase === importPhase ? 'antialias' : 'big_vision');
    const { test, train, classes, figures } = await specsOf(store, task, {
      model: { sha256: checkpoint.sha256, config: model },
      resize: trainedBy,
      perPart: deps.examplesOfPart,
      decoder: () => heldDecoder(store, checkpoint),
    });
    const of = { test: test.spec, train: train?.spec ?? null, classes, figures };
    const asked = { evaluators: task.evaluators, languages: task.languages, seed: task.sample.seed };
    const id = hashJson({ ...of, ...asked, codeVersion }).slice(0, 16);
    const { run, phase, step } = checkpoint;
    const prefix = evaluationPrefix({ run, phase, step, task: `${task.name}-${id}` });
    const keepIndex = async ({ spec, index }: { spec: TaskPlan['test']['spec']; index: object }) => ({
      spec,
      index: await keepDocumentBelow(store, prefix, 'index', index),
    });
    const plan: TaskPlan<CheckpointRef> = {
      version: 1,
      id,
      task,
      model: { name, checkpoint },
      test: await keepIndex(test),
      train: train && (await keepIndex(train)),
      classes,
      trainedOn: await trainedOnBy(store, run, test, test.index),
      figures,
      codeVersion,
    };
    const document = await keepDocumentBelow(store, prefix, 'task', plan);
    const done = (await store.head(`${prefix}result.json`)) !== null;
    if (!done) await pin(store, checkpoint, holderOf(plan), { untilMs: heldMs });
    await letGo();
    log.info({ prefix, figures: figures.length, done }, 'evaluation planned');
    return {
      document,
      prefix,
      parts: {
        test: imageParts(test.spec),
        train: train ? imageParts(train.spec) : 0,
        classes: classes ? classParts(classes) : 0,
      },
      figures: figures.length,
      done,
    };
  } catch (error) {
    // It won't be evaluated: held for two weeks, all checkpoints of a task that can't be would fill the bucket.
    if (isRunnerError(error) && !error.retryable) await letGo().catch(() => {});
    throw error;
  } finally {
    heart.stop();
  }
}

const oneInput =
  'siglip2Evaluate takes {"model": "RUN/PHASE@STEP", "task": {...}}: a checkpoint, or the path of a model folder on the workers, and a task as src/evaluate/README.md has it';

/** The task itself, or the document that a run keeps it in. */
async function taskIn({ store, scratch }: Dependencies, task: unknown): Promise<unknown> {
  const document = documentSchema.safeParse(task);
  return document.success ? readDocumentAs(store, document.data, join(scratch, 'documents')) : task;
}

async function checkpointOf({ store, scratch, codeVersion }: Dependencies, model: string, attempt: Attempt) {
  if (!model.startsWith('/')) return toRef(await readCommit(store, await findNamed(store, model)));
  return importByContent(store, model, { scratch, codeVersion, attempt: `import-${attempt.id}` });
}
