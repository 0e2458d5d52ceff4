import { join } from 'node:path';
import { type Schedule, schedulePosition } from '../src/recipe/schedule.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import type { PhaseSettings } from '../src/train/protocol.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { keepDocument, readDocumentAs } from './documents.ts';
import { beat } from './heartbeat.ts';
import type { PhasePlan, ReplanInput } from './types.ts';

/** The plan of a phase with other settings, which the workflow has checked. Calling it again changes nothing. */
export async function replan(
  { store, scratch, log }: Dependencies,
  { plan, overrides, extend }: ReplanInput,
  attempt: Attempt,
): Promise<PhasePlan> {
  const heart = beat(attempt);
  try {
    const { shardSteps, checkpointEvery, precision, accumulate, remat, ...rates } = overrides;
    const before = await readDocumentAs<PhaseSettings>(store, plan.settings, join(scratch, 'documents'));
    const settings: PhaseSettings = {
      ...before,
      schedule: extend ? extended(before, plan, extend) : before.schedule,
      precision: precision ?? before.precision,
      accumulate: accumulate ?? before.accumulate,
      remat: remat ?? before.remat,
      optimizer: {
        ...before.optimizer,
        learningRate: rates.learningRate ?? before.optimizer.learningRate,
        weightDecay: rates.weightDecay ?? before.optimizer.weightDecay,
        clipNorm: rates.clipNorm ?? before.optimizer.clipNorm,
      },
    };
    log.info({ run: plan.run, phase: plan.phase, overrides, extend }, 'planned again');
    return {
      ...plan,
      to: extend
        ? { step: plan.to.step + extend.steps, examples: plan.to.examples + extend.steps * plan.batch }
        : plan.to,
      settings: await keepDocument(store, plan.run, `${plan.phase}-settings`, settings),
      shardSteps: shardSteps ?? plan.shardSteps,
      checkpointEvery: checkpointEvery ?? plan.checkpointEvery,
    };
  } finally {
    heart.stop();
  }
}

/** The schedule goes on from where it stands, slower, and ends where it would have ended. */
function extended(
  { schedule, batches }: PhaseSettings,
  { phase, to, batch }: PhasePlan,
  { steps, at }: NonNullable<ReplanInput['extend']>,
): Schedule {
  if (batches.naflex)
    throw new RunnerError(
      'RecipeInvalid',
      `phase ${phase} can't be extended: the steps of images of any shape are drawn for its whole length; start another phase from its end`,
    );
  const position = schedulePosition(at.examples, schedule);
  const left = schedulePosition(to.examples, schedule) - position;
  const examples = to.examples - at.examples + steps * batch;
  return { ...schedule, start: { examples: at.examples, position, stretch: examples / Math.max(left, 1) } };
}
