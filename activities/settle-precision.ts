import { readManifest } from '../src/checkpoint/manifest.ts';
import type { Commit } from '../src/checkpoint/types.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import type { TrainerProcess } from '../src/trainer/process.ts';
import { type Settled, type StepInputs, settleByTime } from './measure-both.ts';
import { precisionQuestion, unreadable } from './measured-choice.ts';
import type { Shard } from './shard.ts';

type Precision = NonNullable<PhaseSettings['precision']>;

/**
 * The settings with the precision, where the recipe leaves it to measurement; null when the attempt was stopped
 * meanwhile. Both are measured before the first step of the phase, on any device (`settleByTime`), and later attempts,
 * shards and resumes go by what was written then, on whatever machine. Where that is gone the checkpoints say it.
 */
export async function settlePrecision(
  shard: Shard,
  trainer: TrainerProcess,
  start: Commit | null,
  settings: PhaseSettings,
  inputs: StepInputs,
): Promise<Settled | null> {
  if (settings.precision !== undefined) return { settings };
  const { store } = shard.deps;
  const variant = (precision: Precision) => ({ settings: { ...settings, precision }, how: `in ${precision}` });
  const variants = { f32: variant('f32'), bf16: variant('bf16') };
  return settleByTime(shard, trainer, start, inputs, precisionQuestion, variants, async (commit) => {
    const { precision } = (await readManifest(store, commit)).manifest;
    if (precision) return { settings: { ...settings, precision } };
    throw unreadable(store, shard.input.plan, precisionQuestion, 'it is not there');
  });
}
