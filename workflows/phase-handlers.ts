import { defineSignal, patched, setDefaultSignalHandler, setHandler, workflowInfo } from '@temporalio/workflow';
import { historyQuery, planQuery, statusOf, statusQuery } from './messages.ts';
import type { PhaseProgress } from './phase-progress.ts';
import { setSteering, wishSignal } from './steering.ts';
import { detailsOf, notOpen, type Standing, shapeProblem, type Wish, wishKinds, wishProblem } from './wishes.ts';

/** How a run asks its phase for what it carries over, since the run begins a new history: the phase then ends with it. */
export const handOverSignal = defineSignal('handOver');

/** What a phase answers to who asks. Of a wish it only takes note: the loop of `phase.ts` grants it. */
export function setHandlers(phase: PhaseProgress): void {
  setHandler(statusQuery, () => {
    const { plan, state, failure, roundNow } = phase;
    const status = statusOf(plan.run, state, phase.report(), plan.batch, failure, workflowInfo().unsafe.now());
    return roundNow ? { ...status, round: roundNow } : status;
  });
  setHandler(planQuery, () => [{ ...phase.plan, ...phase.pace }]);
  setHandler(historyQuery, () => ({ [phase.plan.phase]: phase.events }));
  setHandler(handOverSignal, () => {
    // One that was started alone has nobody to go on under.
    if (!workflowInfo().parent) return;
    phase.handingOver = true;
    // What is being trained ends with a checkpoint; a round does so at its end alone.
    if (!inRound(phase)) phase.shard?.cancel();
  });
  setHandler(wishSignal, (wish) => {
    // Anybody can send a signal, and a workflow that fails over one would be stuck.
    const malformed = shapeProblem(wish);
    // Its recipe judged by the last report; since then the phase may have come to another state.
    const problem = malformed ?? problemOf(wish, phase.standing());
    if (problem === null) take(phase, wish);
    else phase.note(malformed === null ? `too late: ${problem}` : `a signal was dropped: ${problem}`);
  });
  setDefaultSignalHandler((name) => phase.note(unknownSignal(name)));
  setSteering({
    problem: (wish, named) => {
      const { phase: own } = phase.plan;
      if (named === undefined || named === own) return wishProblem(wish, phase.standing());
      return notOpen(wish.kind, named, own);
    },
    take: (wish) => take(phase, wish),
  });
}

/** Wishes of before they had bounds were granted, and are when a history of then is replayed. */
function problemOf(wish: Wish, standing: Standing): string | null {
  const problem = wishProblem(wish, standing);
  const newly = problem !== null && wishProblem(wish, { ...standing, unbounded: true }) === null;
  return newly && !patched('bounded-wishes') ? null : problem;
}

/** What is said of a signal that nothing listens to: most are a slip for an update. */
export function unknownSignal(name: string): string {
  const short = name.slice(0, 60);
  const meant = wishKinds.some((kind) => kind === name)
    ? `; it is an update: temporal workflow update execute --name ${short}`
    : '';
  return `a signal was dropped: nothing is known by the name ${short}${meant}`;
}

function take(phase: PhaseProgress, wish: Wish): string {
  phase.wishes.push(wish);
  phase.note(`asked for: ${wish.kind}${detailsOf(wish)}`);
  // What is being trained ends with a checkpoint; the loop sees to the rest.
  if (wish.kind !== 'resume' && (wish.kind === 'abandonPhase' || !inRound(phase))) phase.shard?.cancel();
  return 'accepted';
}

/** Half a round is worth nothing: what is asked of it is done at its end. */
const inRound = ({ plan, working, due }: PhaseProgress) =>
  plan.replicas !== undefined && working === 'training' && due === null;
