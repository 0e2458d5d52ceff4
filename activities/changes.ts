import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import type { PhasePlan } from './types/plan.ts';
import type { Change, ReplanInput } from './types/shard.ts';

/** What a person changes of a phase: each setting that is named and is another now, as it was and as it is to be. */
export function changesOf(overrides: ReplanInput['overrides'], plan: PhasePlan, before: PhaseSettings): Change[] {
  const { precision = 'auto', xla = 'auto', accumulate, remat, batches, optimizer, objectives } = before;
  const { learningRate, weightDecay, clipNorm } = optimizer;
  const { teacherTemperature, centerMomentum } = objectives.localToGlobal ?? objectives.maskedPrediction ?? {};
  const minInformation = plan.information?.min ?? 0;
  const { batch, checkpointEvery, shardSteps } = plan;
  const was: Required<{ [name in keyof typeof overrides]: unknown }> = {
    ...{ learningRate, weightDecay, clipNorm, precision, xla, accumulate, remat },
    ...{ teacherTemperature, centerMomentum, minInformation },
    ...{ batch, data: batches.data.train, read: batches.data.read, maxBroken: batches.data.maxBroken },
    ...{ checkpointEvery, shardSteps },
  };
  return Object.entries(overrides).flatMap(([what, to]) => {
    const from = was[what as keyof typeof was];
    return to === undefined || JSON.stringify(from) === JSON.stringify(to) ? [] : [{ what, from, to }];
  });
}
