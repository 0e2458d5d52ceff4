import { patched } from '@temporalio/workflow';
import { givenUp } from '../src/costs/used.ts';
import { activitiesBy } from './activities-by.ts';
import { change } from './change-plan.ts';
import { brokenBy, damagedStep, divergenceOf, hasCollapsed, rootFailure } from './failures.ts';
import type { PhaseProgress, WentBack } from './phase-progress.ts';
import { lightOptions } from './policies.ts';

const { recoverCheckpoint } = activitiesBy(lightOptions);

/** More damage than this in one phase is no accident of a disk. */
const mostRecoveries = 5;

/**
 * How a phase goes on whose shard failed: past a damaged checkpoint from one before it, past a batch that made it
 * diverge from one before that, as often as the plan allows; all else waits for a person.
 */
export async function meetFailure(phase: PhaseProgress, error: unknown): Promise<void> {
  // Paused by Temporal's own command its attempt had ended well, when what was asked of the phase ended the activity itself.
  if (/^Activity(Pause|Reset)$/.test(rootFailure(error)?.type ?? '') && patched('activity-paused')) return;
  // What the teacher lacks is not mended by training again from an older checkpoint.
  const failure = phase.working === 'training' ? rootFailure(error) : null;
  if (failure?.type === 'CheckpointDamaged' && timesBack(phase, 'damaged') < mostRecoveries) {
    phase.failure = failure.message;
    phase.note(failure.message);
    await phase.tell('recovering');
    await goBack(phase, 'damaged', damagedStep(failure.details) ?? phase.step);
  } else if (
    failure?.type === 'NonFinite' &&
    !hasCollapsed(failure.details) &&
    timesBack(phase, 'diverged') < (phase.plan.leaveOut ?? 0)
  ) {
    const { step, batch } = divergenceOf(failure.details);
    phase.failure = failure.message;
    await phase.tell('recovering');
    const { begins } = phase.plan;
    await goBack(phase, 'diverged', step);
    phase.note(`${failure.message}; goes back to step ${phase.step} and leaves out batch ${batch}`);
    // Batches that were counted anew meanwhile have other numbers.
    if (phase.plan.begins === begins) phase.leaveOut([batch]);
  } else if (failure?.type === 'LimitReached') {
    phase.held = 'limit';
    phase.note(failure.message);
  } else {
    // What a person changes of its teacher is counted from where it stands.
    if (hasCollapsed(failure?.details)) phase.from = await standing(phase, divergenceOf(failure?.details).step);
    phase.broken = brokenBy(error);
    phase.failure = phase.broken.message;
    phase.held = 'waiting';
    phase.note(phase.failure);
  }
}

/**
 * How often a phase went back by itself. Before this was written, what a person changed and left out counted as well:
 * runs of then that have come to the bound by it go on waiting.
 */
function timesBack({ wentBack, revision, skip }: PhaseProgress, cause: keyof WentBack): number {
  if (patched('went-back')) return wentBack[cause];
  return cause === 'damaged' ? revision : skip.length;
}

/** Back to a checkpoint that still verifies. Steps of before the batch was changed are trained again with the new one. */
async function goBack(phase: PhaseProgress, cause: keyof WentBack, belowStep: number): Promise<void> {
  const { plan, step: before } = phase;
  phase.from = await standing(phase, belowStep);
  // By the mean of its steps: of each single one nobody keeps what it cost.
  if (phase.step < before) phase.used = givenUp(phase.used, (before - phase.step) / (before - plan.from.step));
  phase.revision += 1;
  phase.members = [];
  phase.paces = [];
  phase.wentBack = { ...phase.wentBack, [cause]: phase.wentBack[cause] + 1 };
  if (plan.begins && phase.step < plan.begins.step) await change(phase, { batch: plan.batch });
}

/** The last checkpoint before a step that still verifies; null where there is none. */
const standing = ({ plan, parent, skip, revision }: PhaseProgress, belowStep: number) =>
  recoverCheckpoint({ plan, parent, skip, revision, belowStep });
