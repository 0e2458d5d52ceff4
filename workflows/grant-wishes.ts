import { isCancellation } from '@temporalio/workflow';
import type { Overrides } from '../src/recipe/overrides.ts';
import { change, changeReplicas, extend } from './change-plan.ts';
import { abandoned, type Broken, brokenBy } from './failures.ts';
import { merged, reached } from './limits.ts';
import type { PhaseProgress } from './phase-progress.ts';
import { inWords } from './wishes.ts';

/** Grants what was wished, in the order in which it was, and looks at the limits; then `held` says whether it trains. */
export async function grantWishes(phase: PhaseProgress): Promise<void> {
  for (let wish = phase.wishes.shift(); wish; wish = phase.wishes.shift()) {
    if (wish.kind === 'abandonPhase') throw abandoned(phase.plan.phase, phase.step, phase.broken);
    if (wish.kind === 'pause') phase.held = 'paused';
    if (wish.kind === 'resume') phase.held = null;
    if (wish.kind === 'setLimits') {
      const before = phase.limits;
      phase.limits = merged(before, wish.limits);
      phase.note(`limits ${inWords(before)} -> ${inWords(phase.limits)}`);
      if (phase.held === 'limit') phase.held = null;
    }
    if (wish.kind === 'extend') {
      const problem = await problemOf(() => extend(phase, wish.steps));
      if (problem !== null) phase.note(`not extended: ${problem.message}`);
    }
    if (wish.kind === 'setReplicas') {
      const problem = await problemOf(() => changeReplicas(phase, wish.replicas));
      if (problem !== null) phase.note(`replicas are not changed: ${problem.message}`);
    }
    if (wish.kind === 'retryPhase') await tryAgain(phase, wish.overrides);
  }
  const { limits, step, deviceMs, began, plan, used } = phase;
  // At its last step there may be something to look at, and nothing to train.
  const trains = step < plan.to.step;
  const stands = trains && phase.held === null && phase.broken === null;
  if (stands && reached(limits, step, deviceMs, Date.now() - began, used)) phase.held = 'limit';
}

async function tryAgain(phase: PhaseProgress, overrides: Overrides): Promise<void> {
  const problem = await problemOf(() => change(phase, overrides));
  if (problem !== null) {
    // The data can't be read, or can't be trained on by this phase: it stands as before.
    phase.note(`not tried again: ${problem.message}`);
    phase.failure = problem.message;
    phase.held ??= 'waiting';
    if (phase.held === 'waiting') phase.broken = problem;
    return;
  }
  phase.held = null;
  phase.broken = null;
  phase.failure = null;
  if (phase.plan.curation) {
    // Scores that are there are looked at again, and made where they are missing.
    phase.plan = { ...phase.plan, curation: { ...phase.plan.curation, sealed: null } };
    phase.scored = 0;
  }
}

/** Why a change of the plan is refused; null when it was made. */
async function problemOf(change: () => Promise<void>): Promise<Broken | null> {
  try {
    await change();
    return null;
  } catch (error) {
    if (isCancellation(error)) throw error;
    return brokenBy(error);
  }
}
