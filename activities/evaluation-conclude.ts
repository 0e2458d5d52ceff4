import { join } from 'node:path';
import { toDocument } from '../src/checkpoint/documents.ts';
import { unpin } from '../src/checkpoint/pins.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import { type EvaluationDocument, type FigureDocument, flatFigures } from '../src/evaluate/result.ts';
import type { TaskPlan } from '../src/evaluate/task-plan.ts';
import { sha256 } from '../src/runtime/hash.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { readDocumentAs } from './documents.ts';
import { figureBase } from './evaluation-figure.ts';
import { holderOf } from './evaluation-plan.ts';
import { beat } from './heartbeat.ts';
import { metricsBeside } from './metrics-beside.ts';
import type { PlannedEvaluation, TaskResult } from './types/evaluation.ts';

/** Figures up to so many bytes go into the result of the workflow, for people who look there. */
const mostBytes = 16 * 1024;

/** Puts the figures of all evaluators into one document. Doing it again writes the same bytes. */
export async function concludeEvaluation(
  { store, scratch, log, gauges }: Dependencies,
  { plan: { document, prefix } }: { readonly plan: PlannedEvaluation },
  attempt: Attempt,
): Promise<TaskResult> {
  const heart = beat(attempt);
  try {
    const plan = await readDocumentAs<TaskPlan<CheckpointRef>>(store, document, join(scratch, 'documents'));
    const figures: FigureDocument[] = [];
    for (const figure of plan.figures) {
      const bytes = await store.get(`${figureBase(prefix, plan, figure)}.json`);
      figures.push(JSON.parse(bytes.toString('utf8')) as FigureDocument);
    }
    const { name, checkpoint } = plan.model;
    const result: EvaluationDocument = {
      version: 1,
      task: plan.task,
      model: { name, sha256: checkpoint.sha256 },
      figures,
    };
    const body = toDocument(result);
    const key = `${prefix}result.json`;
    await store.put(key, body, { contentType: 'application/json' });
    // While it is held: nothing is written beside what is being deleted.
    await metricsBeside({ store, log }, checkpoint);
    await unpin(store, checkpoint, holderOf(plan));
    log.info({ key }, 'evaluated');
    const { run, phase, step } = checkpoint;
    const told = figures.flatMap(({ evaluator, view, figures: own }) =>
      flatFigures(own).map(([figure, value]) => ({ evaluator, view, figure, value })),
    );
    gauges?.evaluated({ run, phase, step, task: plan.task.name, figures: told });
    const short = Object.fromEntries(figures.map((one) => [`${one.evaluator} ${one.view}`, one.figures]));
    return { key, sha256: sha256(body), figures: JSON.stringify(short).length <= mostBytes ? short : null };
  } finally {
    heart.stop();
  }
}

/** Lets go of the checkpoint of an evaluation that failed; what it has made stays. Doing it again changes nothing. */
export async function leaveEvaluation(
  { store, scratch }: Dependencies,
  { plan: { document } }: { readonly plan: PlannedEvaluation },
  attempt: Attempt,
): Promise<void> {
  const heart = beat(attempt);
  try {
    const plan = await readDocumentAs<TaskPlan<CheckpointRef>>(store, document, join(scratch, 'documents'));
    await unpin(store, plan.model.checkpoint, holderOf(plan));
  } finally {
    heart.stop();
  }
}
