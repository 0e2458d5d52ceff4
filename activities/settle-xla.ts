import type { Commit } from '../src/checkpoint/types.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import type { TrainerProcess } from '../src/trainer/process.ts';
import type { TrainJob } from '../src/trainer/protocol.ts';
import { chooseByTime, type StepInputs, timeInWords } from './measure-both.ts';
import { type MeasuredChoice, recordedChoice, xlaQuestion } from './measured-choice.ts';
import type { Shard } from './shard.ts';
import { inputHash } from './shard-start.ts';

/** What a shard is trained with. */
export type Settled = Pick<TrainJob, 'settings' | 'measured'>;

/**
 * The settings with XLA on or off, where the recipe leaves it to measurement; null when the attempt was stopped
 * meanwhile. On a CPU it is off. On a GPU both are measured before the first step of the phase (`chooseByTime`): XLA has
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
  const { store } = shard.deps;
  const { plan } = shard.input;
  if (settings.xla !== undefined || (await trainer.device()) !== 'gpu') return { settings };
  const recorded = await recordedChoice(store, plan, xlaQuestion);
  if (recorded) return settled(settings, recorded);
  if (start && start.inputHash === inputHash(shard.input, start.step)) return { settings };
  const doing = (how: string) => `measuring whether XLA is faster: a step ${how} it`;
  const choice = await chooseByTime(shard, trainer, xlaQuestion, inputs, {
    off: { settings, doing: doing('without') },
    on: { settings: { ...settings, xla: 'on' }, doing: doing('with') },
  });
  if (choice === null) return null;
  shard.deps.log.info({ run: plan.run, phase: plan.phase, ...choice }, `XLA is ${inWords(choice)}`);
  return settled(settings, choice);
}

const settled = (settings: PhaseSettings, { chosen, hash }: MeasuredChoice<'off' | 'on'>): Settled => ({
  settings: chosen === 'on' ? { ...settings, xla: chosen } : settings,
  measured: hash,
});

function inWords({ chosen, ms: { off, on }, note }: MeasuredChoice<'off' | 'on'>): string {
  const why = `a step with it ${timeInWords(on)}, without it ${timeInWords(off)}`;
  return `${chosen} for this phase: ${why}${note ? ` (${note})` : ''}`;
}
