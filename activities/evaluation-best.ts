import { join } from 'node:path';
import { type Best, keepBest as keep } from '../src/checkpoint/best.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import { type FigureDocument, flatFigures } from '../src/evaluate/result.ts';
import type { TaskPlan } from '../src/evaluate/task-plan.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { readDocumentAs } from './documents.ts';
import { figureBase } from './evaluation-figure.ts';
import { beat } from './heartbeat.ts';
import type { KeepBestInput } from './types.ts';

/**
 * Holds the evaluated checkpoint where it is the best of its phase by a figure, at the largest view. DataContract where there
 * is no such figure. Doing it again changes nothing.
 */
export async function keepBest(
  { store, scratch, log }: Dependencies,
  { plan: { document, prefix }, best: { evaluator, figure } }: KeepBestInput,
  attempt: Attempt,
): Promise<Best> {
  const heart = beat(attempt);
  try {
    const plan = await readDocumentAs<TaskPlan<CheckpointRef>>(store, document, join(scratch, 'documents'));
    const largest = plan.figures.filter((one) => one.evaluator === evaluator).at(-1);
    const bytes = largest && (await store.get(`${figureBase(prefix, plan, largest)}.json`));
    const found = bytes ? flatFigures((JSON.parse(bytes.toString('utf8')) as FigureDocument).figures) : [];
    const value = found.find(([name]) => name === figure)?.[1];
    if (value === undefined)
      throw new RunnerError(
        'DataContract',
        `evaluate.best: task ${plan.task.name} has no figure ${evaluator} ${figure}; it has ${
          found
            .slice(0, 12)
            .map(([name]) => name)
            .join(', ') || `the evaluators ${Object.keys(plan.task.evaluators).join(', ')}`
        }`,
      );
    const name = `${plan.task.name} ${evaluator} ${figure}`;
    const best = await keep(store, plan.model.checkpoint, { figure: name, value });
    log.info({ checkpoint: plan.model.name, value, best: best.step }, 'looked for the best');
    return best;
  } finally {
    heart.stop();
  }
}
