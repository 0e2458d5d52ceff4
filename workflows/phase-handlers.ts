import { setHandler, workflowInfo } from '@temporalio/workflow';
import { historyQuery, planQuery, statusOf, statusQuery } from './messages.ts';
import type { PhaseProgress } from './phase-progress.ts';
import { setSteering, type Wish, wishProblem, wishSignal } from './steering.ts';

/** What a phase answers to who asks. Of a wish it only takes note: the loop of `phase.ts` grants it. */
export function setHandlers(phase: PhaseProgress): void {
  setHandler(statusQuery, () => {
    const { plan, state, failure } = phase;
    return statusOf(plan.run, state, phase.report(), plan.batch, failure, workflowInfo().unsafe.now());
  });
  setHandler(planQuery, () => [{ ...phase.plan, ...phase.pace }]);
  setHandler(historyQuery, () => ({ [phase.plan.phase]: phase.events }));
  setHandler(wishSignal, (wish) => {
    // Its recipe judged by the last report; since then the phase may have come to another state.
    const problem = wishProblem(wish, phase.standing());
    if (problem === null) take(phase, wish);
    else phase.note(`too late: ${problem}`);
  });
  setSteering({
    problem: (wish) => wishProblem(wish, phase.standing()),
    take: (wish) => take(phase, wish),
  });
}

function take(phase: PhaseProgress, wish: Wish): string {
  phase.wishes.push(wish);
  phase.note(`asked for: ${wish.kind}`);
  // What is being trained ends with a checkpoint; the loop sees to the rest.
  if (wish.kind !== 'resume') phase.shard?.cancel();
  return 'accepted';
}
