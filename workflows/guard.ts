import type { CancellationScope } from '@temporalio/workflow';
import { activitiesBy } from './activities-by.ts';
import { evaluated } from './evaluate-tasks.ts';
import type { PhaseProgress } from './phase-progress.ts';
import { lightOptions } from './policies.ts';
import { cut } from './report-size.ts';

const { guardFigure } = activitiesBy(lightOptions);

/** What a phase may not let fall; undefined where it has no guard, or nothing was known before it. */
export const guardOf = ({ plan, parent }: PhaseProgress) => (parent ? plan.tasks?.guard : undefined);

/**
 * Has the checkpoint that the phase went on from and the one where it stands evaluated, while nothing is trained, and lets the
 * phase wait for a person where the figure has fallen too far, or end there where that is wished and no phase begins later. An evaluation that was done answers at once, so that doing it
 * again after a kill or a pause changes nothing.
 */
export async function lookAtGuard(phase: PhaseProgress, scope: CancellationScope): Promise<void> {
  const { plan, parent, from, step } = phase;
  const guard = guardOf(phase);
  const { tasks } = plan;
  const task = tasks?.documents.find(({ name }) => name === guard?.task);
  if (!guard || !tasks || !task || !parent || !from) return;
  phase.doing = `${task.name} says of step ${step} whether the model keeps what it knew`;
  await phase.tell(phase.working);
  const { before, value } = await scope.run(async () => {
    const [first, now] = [await evaluated(parent, task, tasks), await evaluated(from, task, tasks)];
    for (const { used } of [first, now]) phase.spend({ ...(used && { used }) });
    return guardFigure({ plan, before: first.key, key: now.key });
  });
  const figure = `${guard.task} ${guard.evaluator} ${cut(guard.figure, 60)}`;
  const shown = (number: number) => String(Number(number.toPrecision(4)));
  phase.note(`${figure} is ${shown(value)} at step ${step}, and was ${shown(before)} before the phase`);
  if (before - value <= guard.fall) return;
  const fell = `${figure} fell from ${shown(before)} to ${shown(value)} at step ${step}, and a fall of ${guard.fall} is allowed`;
  if (guard.action === 'end' && plan.branches.every((branch) => branch <= step)) {
    const best = { step: plan.from.step, value: before };
    phase.watched = { figure, step, value, best, without: 1, patience: 1, stopped: true };
    phase.note(step < plan.to.step ? `ends at step ${step}, not ${plan.to.step}: ${fell}` : fell);
    return;
  }
  const message = `${fell}; retryPhase goes on all the same, with overrides such as a smaller learningRate, and abandonPhase ends it`;
  phase.broken = { message, type: 'GuardFell' };
  phase.failure = message;
  phase.held = 'waiting';
  phase.note(message);
}
