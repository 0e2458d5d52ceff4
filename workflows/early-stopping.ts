import { CancellationScope, isCancellation } from '@temporalio/workflow';
import { activitiesBy } from './activities-by.ts';
import { evaluated, isTime } from './evaluate-tasks.ts';
import { sentence } from './failures.ts';
import { guardOf, lookAtGuard } from './guard.ts';
import type { PhaseProgress } from './phase-progress.ts';
import { lightOptions } from './policies.ts';
import { cut } from './report-size.ts';

const { watchFigure, bestWatched } = activitiesBy(lightOptions);

/** Whether it has come to its end: to its last step, and what is to be looked at there was, or to where it no longer rises. */
export const isOver = (phase: PhaseProgress): boolean => {
  const { plan, step, due, watched, held } = phase;
  if (watched?.stopped === true) return true;
  return step >= plan.to.step && due === null && !(held === 'waiting' && guardOf(phase));
};

/** Other phases go on from its last step: it is trained to there, and ends with that. */
const isGoneOnFrom = ({ plan }: PhaseProgress) => plan.branches.includes(plan.to.step);

/** After a shard: whether its figure is looked at before it goes on. At the last step that only says which was the best. */
export function lookNext(phase: PhaseProgress, before: number): void {
  const { tasks, to } = phase.plan;
  const guard = guardOf(phase);
  if (!tasks?.earlyStopping && !guard) return;
  const atEnd = guard !== undefined || isLookedAtLast(phase);
  if (phase.step === to.step ? atEnd : isTime(phase, before)) phase.due = phase.step;
}

const isLookedAtLast = (phase: PhaseProgress): boolean =>
  phase.plan.tasks?.earlyStopping?.restoreBest === true && !isGoneOnFrom(phase);

/** What is due of a phase, while nothing is trained: first whether it keeps what it knew, then whether it goes on. */
export async function look(phase: PhaseProgress, scope: CancellationScope): Promise<void> {
  const { plan, step, due } = phase;
  const stops = plan.tasks?.earlyStopping && (step !== plan.to.step || isLookedAtLast(phase));
  if (due === step && guardOf(phase))
    await unlessItFails(phase, scope, 'whether it keeps what it knew', () => lookAtGuard(phase, scope));
  // A person who lets it go on has this one looked at no more.
  if (stops && phase.held === null) await lookAtFigure(phase, scope);
  phase.due = null;
}

/** An evaluation that fails of itself just then is noted like any other: a phase does not wait for a person over it. */
async function unlessItFails(
  phase: PhaseProgress,
  scope: CancellationScope,
  whether: string,
  look: () => Promise<void>,
): Promise<void> {
  try {
    await look();
  } catch (error) {
    if (isCancellation(error) && (scope.consideredCancelled || CancellationScope.current().consideredCancelled))
      throw error;
    phase.note(`not looked at ${whether} at ${phase.step}: ${sentence(error).slice(0, 300)}`);
  } finally {
    phase.doing = null;
  }
}

/**
 * Has the checkpoint evaluated and looks whether the figure still rises, while nothing is trained: so a phase ends at the same
 * checkpoint whatever was killed, and trains no step in vain. What is asked of it meanwhile cuts this short, and it is looked
 * at again when it goes on.
 */
async function lookAtFigure(phase: PhaseProgress, scope: CancellationScope): Promise<void> {
  const { plan, step, from } = phase;
  const { tasks } = plan;
  const task = tasks?.documents.find(({ name }) => name === tasks.best?.task);
  // Gone back meanwhile, there is nothing to look at.
  if (!tasks || !task || !from || phase.due !== step) {
    phase.due = null;
    return;
  }
  phase.doing = `${task.name} says of step ${step} whether it goes on`;
  await phase.tell(phase.working);
  await unlessItFails(phase, scope, 'whether it still rises', async () => {
    await scope.run(async () => {
      const { key, used } = await evaluated(from, task, tasks);
      phase.spend({ ...(used && { used }) });
      phase.watched = await watchFigure({ plan, checkpoint: from, key });
    });
    settle(phase);
    phase.due = null;
  });
}

/** Where its patience is over it ends, but not before the last step at which another phase begins. */
function settle(phase: PhaseProgress): void {
  const { plan, step, watched } = phase;
  if (!watched || watched.without < watched.patience || step >= plan.to.step) return;
  const { figure, best, without } = watched;
  const why = `${cut(figure, 60)} has not risen for ${without} evaluations: ${shown(best)}`;
  const [last] = plan.branches.slice(-1);
  if (last !== undefined && step < last) {
    if (without === watched.patience) phase.note(`goes on to step ${last}, where another phase begins: ${why}`);
    return;
  }
  phase.watched = { ...watched, stopped: true };
  phase.note(`ends at step ${step}, not ${plan.to.step}: ${why}`);
}

const shown = ({ step, value }: { step: number; value: number }) => `${Number(value.toPrecision(4))} at step ${step}`;

/** At its end: what it ends with is the best, where that was wished. */
export async function handOnBest(phase: PhaseProgress): Promise<void> {
  const { plan, step, from } = phase;
  if (!plan.tasks?.earlyStopping?.restoreBest || isGoneOnFrom(phase)) return;
  try {
    const best = await CancellationScope.nonCancellable(() => bestWatched({ plan, ...(from && { checkpoint: from }) }));
    if (!best || (best.checkpoint.step === step && best.checkpoint.revision === from?.revision)) return;
    phase.last = best;
    phase.from = best.checkpoint;
    phase.note(`ends with the checkpoint of step ${best.checkpoint.step}, the best`);
  } catch (error) {
    phase.note(`ends with its last checkpoint, not with the best: ${sentence(error).slice(0, 300)}`);
  }
}
