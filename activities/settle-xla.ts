import type { Commit } from '../src/checkpoint/types.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import type { TrainerProcess } from '../src/trainer/process.ts';
import { type Settled, type StepInputs, settleByTime } from './measure-both.ts';
import { xlaQuestion } from './measured-choice.ts';
import type { Shard } from './shard.ts';

/**
 * The settings with XLA on or off, where the recipe leaves it to measurement; null when the attempt was stopped
 * meanwhile. On a CPU it is off. On a GPU both are measured before the first step of the phase (`settleByTime`): XLA has
 * its own last bits, so every later byte depends on it. Commits of these settings and no choice, as of an older version
 * or of a CPU: begun without XLA, it goes on so.
 */
export async function settleXla(
  shard: Shard,
  trainer: TrainerProcess,
  start: Commit | null,
  settings: PhaseSettings,
  inputs: StepInputs,
): Promise<Settled | null> {
  if (settings.xla !== undefined || (await trainer.device()) !== 'gpu') return { settings };
  const variants = {
    off: { settings, how: 'without it' },
    on: { settings: { ...settings, xla: 'on' as const }, how: 'with it' },
  };
  return settleByTime(shard, trainer, start, inputs, xlaQuestion, variants, async () => ({ settings }));
}
