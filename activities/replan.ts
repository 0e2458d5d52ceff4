import { join } from 'node:path';
import type { PhaseSettings } from '../src/train/protocol.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { keepDocument, readDocumentAs } from './documents.ts';
import { beat } from './heartbeat.ts';
import type { PhasePlan, ReplanInput } from './types.ts';

/** The plan of a phase with other settings, which the workflow has checked. Calling it again changes nothing. */
export async function replan(
  { store, scratch, log }: Dependencies,
  { plan, overrides }: ReplanInput,
  attempt: Attempt,
): Promise<PhasePlan> {
  const heart = beat(attempt);
  try {
    const { shardSteps, checkpointEvery, precision, accumulate, remat, ...rates } = overrides;
    const before = await readDocumentAs<PhaseSettings>(store, plan.settings, join(scratch, 'documents'));
    const settings: PhaseSettings = {
      ...before,
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
    log.info({ run: plan.run, phase: plan.phase, overrides }, 'planned again');
    return {
      ...plan,
      settings: await keepDocument(store, plan.run, `${plan.phase}-settings`, settings),
      shardSteps: shardSteps ?? plan.shardSteps,
      checkpointEvery: checkpointEvery ?? plan.checkpointEvery,
    };
  } finally {
    heart.stop();
  }
}
