import { executeChild, isCancellation, ParentClosePolicy, sleep, startChild } from '@temporalio/workflow';
import type { EvaluationInput, TaskResult } from '../activities/types/evaluation.ts';
import type { PhasePlan, TaskDocument } from '../activities/types/plan.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import type { Used } from '../src/costs/used.ts';
import { isTimeToEvaluate } from '../src/recipe/evaluation-time.ts';
import { siglip2Evaluate } from './evaluate.ts';
import { sentence } from './failures.ts';
import type { PhaseProgress } from './phase-progress.ts';
import type { TaskOutcome } from './results.ts';

type Tasks = NonNullable<PhasePlan['tasks']>;
type Step = Pick<CheckpointRef, 'run' | 'phase' | 'revision' | 'step'>;

/** The same checkpoint and task have the same ID: what is at work is not begun twice. */
function childOf({ run, phase, revision, step }: Step, { name, document }: TaskDocument, { best }: Tasks) {
  const input: EvaluationInput = {
    model: `${run}/${phase}@${step}`,
    revision,
    task: document,
    ...(best?.task === name && { best: { evaluator: best.evaluator, figure: best.figure } }),
  };
  return { workflowId: `${run}/${phase}/${name}-${step}`, args: [input] as [unknown] };
}

/** What a phase has become by the tasks of its recipe, one after the other; undefined where it has none. */
export async function evaluatedByTasks(
  { tasks }: PhasePlan,
  checkpoint: CheckpointRef,
  spend: (used?: Used) => void,
): Promise<readonly TaskOutcome[] | undefined> {
  if (!tasks) return undefined;
  const outcomes: TaskOutcome[] = [];
  for (const task of tasks.documents) {
    const { name } = task;
    try {
      const { used, ...result } = await evaluated(checkpoint, task, tasks);
      spend(used);
      outcomes.push({ name, ...result });
    } catch (error) {
      if (isCancellation(error)) throw error;
      outcomes.push({ name, failure: sentence(error).slice(0, 300) });
    }
  }
  return withinRoom(outcomes);
}

/** One that is at work already, begun on the way or before a `workflow reset`, is waited for: then it answers at once. */
export async function evaluated(checkpoint: CheckpointRef, task: TaskDocument, tasks: Tasks): Promise<TaskResult> {
  for (let tries = 0; ; tries++) {
    try {
      return await executeChild(siglip2Evaluate, childOf(checkpoint, task, tasks));
    } catch (error) {
      if (!isAtWork(error)) throw error;
      await sleep(Math.min(2 ** tries, 300) * 1000);
    }
  }
}

/** The workflow library does not export the class. */
const isAtWork = (error: unknown): boolean => (error as Error | null)?.name === 'WorkflowExecutionAlreadyStartedError';

/** Characters of figures that a phase adds to what its run carries: of 100 phases that is well below the 2 MB of a payload. */
const mostFigures = 8 * 1024;

/** The outcomes, with the figures of as many as there is room for: the documents that they name have them all. */
export function withinRoom(outcomes: readonly TaskOutcome[]): TaskOutcome[] {
  let left = mostFigures;
  return outcomes.map((outcome) => {
    if ('failure' in outcome || outcome.figures === null) return outcome;
    const size = JSON.stringify(outcome.figures).length;
    if (size > left) return { ...outcome, figures: null };
    left -= size;
    return outcome;
  });
}

/** Whether a multiple of `every` lies behind the shard before. The end of the phase is for the run. */
export const isTime = ({ plan: { tasks, to }, step }: PhaseProgress, before: number): boolean =>
  tasks?.every != null && step !== to.step && isTimeToEvaluate(tasks.every, before, step);

/**
 * Has the checkpoint of a shard evaluated, where it is time: beside training, which waits for none of it. The task that may
 * end the phase is for early-stopping.ts, and the one that guards it for guard.ts.
 */
export async function evaluateOnTheWay(phase: PhaseProgress, before: number): Promise<void> {
  const { tasks, run, phase: name } = phase.plan;
  const { step, from } = phase;
  if (!tasks || !isTime(phase, before)) return;
  for (const task of tasks.documents) {
    if (tasks.earlyStopping && task.name === tasks.best?.task) continue;
    if (task.name === tasks.guard?.task && phase.parent) continue;
    const child = childOf({ run, phase: name, revision: from?.revision ?? phase.revision, step }, task, tasks);
    const failed = (error: unknown) =>
      phase.note(`not evaluated by ${task.name} at ${step}: ${sentence(error).slice(0, 300)}`);
    try {
      const started = await startChild(siglip2Evaluate, { ...child, parentClosePolicy: ParentClosePolicy.ABANDON });
      // Nobody waits for it, but that it failed is told with what the phase tells next.
      void started.result().then(
        ({ used }) => phase.spend({ ...(used && { used }) }),
        (error) => isCancellation(error) || failed(error),
      );
    } catch (error) {
      if (isCancellation(error)) throw error;
      failed(error);
    }
  }
}
