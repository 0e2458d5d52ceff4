import { executeChild, isCancellation, ParentClosePolicy, startChild } from '@temporalio/workflow';
import type { EvaluationInput, PhasePlan, TaskDocument } from '../activities/types.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import { siglip2Evaluate } from './evaluate.ts';
import { sentence } from './failures.ts';
import type { PhaseProgress } from './phase-progress.ts';
import type { TaskOutcome } from './results.ts';

type Tasks = NonNullable<PhasePlan['tasks']>;
type Step = Pick<CheckpointRef, 'run' | 'phase' | 'step'>;

/** The same checkpoint and task have the same ID: what is at work is not begun twice. */
function childOf({ run, phase, step }: Step, { name, document }: TaskDocument, { best }: Tasks) {
  const input: EvaluationInput = {
    model: `${run}/${phase}@${step}`,
    task: document,
    ...(best?.task === name && { best: { evaluator: best.evaluator, figure: best.figure } }),
  };
  return { workflowId: `${run}/${phase}/${name}-${step}`, args: [input] as [unknown] };
}

/** What a phase has become by the tasks of its recipe, one after the other; undefined where it has none. */
export async function evaluatedByTasks(
  { tasks }: PhasePlan,
  checkpoint: CheckpointRef,
): Promise<readonly TaskOutcome[] | undefined> {
  if (!tasks) return undefined;
  const outcomes: TaskOutcome[] = [];
  for (const task of tasks.documents) {
    const { name } = task;
    try {
      outcomes.push({ name, ...(await executeChild(siglip2Evaluate, childOf(checkpoint, task, tasks))) });
    } catch (error) {
      if (isCancellation(error)) throw error;
      outcomes.push({ name, failure: sentence(error) });
    }
  }
  return outcomes;
}

/**
 * Has the checkpoint of a shard evaluated, where a multiple of `every` lies behind the shard before: beside training, which
 * waits for none of it. The end of the phase is for the run.
 */
export async function evaluateOnTheWay(phase: PhaseProgress, before: number): Promise<void> {
  const { tasks, to, run, phase: name } = phase.plan;
  const { step } = phase;
  if (!tasks || tasks.every === null || step === to.step) return;
  if (Math.floor(step / tasks.every) === Math.floor(before / tasks.every)) return;
  for (const task of tasks.documents) {
    const child = childOf({ run, phase: name, step }, task, tasks);
    await startChild(siglip2Evaluate, { ...child, parentClosePolicy: ParentClosePolicy.ABANDON }).catch((error) => {
      if (isCancellation(error)) throw error;
      phase.note(`not evaluated by ${task.name} at ${step}: ${sentence(error)}`);
    });
  }
}
