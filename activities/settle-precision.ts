import { readManifest } from '../src/checkpoint/manifest.ts';
import type { Commit } from '../src/checkpoint/types.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import type { TrainerProcess } from '../src/trainer/process.ts';
import { chooseByTime, type StepInputs, timeInWords } from './measure-both.ts';
import { type MeasuredChoice, precisionQuestion, recordedChoice, unreadable } from './measured-choice.ts';
import type { Settled } from './settle-xla.ts';
import type { Shard } from './shard.ts';
import { inputHash } from './shard-start.ts';

type Precision = NonNullable<PhaseSettings['precision']>;

/**
 * The settings with the precision, where the recipe leaves it to measurement; null when the attempt was stopped
 * meanwhile. Both are measured before the first step of the phase, on any device (`chooseByTime`), and later attempts,
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
  const { store, log } = shard.deps;
  const { plan } = shard.input;
  const recorded = await recordedChoice(store, plan, precisionQuestion);
  if (recorded) return settled(settings, recorded);
  if (start && start.inputHash === inputHash(shard.input, start.step)) {
    const { precision } = (await readManifest(store, start)).manifest;
    if (precision) return { settings: { ...settings, precision } };
    throw unreadable(store, plan, precisionQuestion, 'it is not there');
  }
  const variant = (precision: Precision) => ({
    settings: { ...settings, precision },
    doing: `measuring which precision is faster: a step in ${precision}`,
  });
  const variants = { f32: variant('f32'), bf16: variant('bf16') };
  const choice = await chooseByTime(shard, trainer, precisionQuestion, inputs, variants);
  if (choice === null) return null;
  log.info({ run: plan.run, phase: plan.phase, ...choice }, `the precision is ${inWords(choice)}`);
  return settled(settings, choice);
}

const settled = (settings: PhaseSettings, { chosen, hash }: MeasuredChoice<Precision>): Settled => ({
  settings: { ...settings, precision: chosen },
  measured: hash,
});

function inWords({ chosen, ms: { f32, bf16 }, note }: MeasuredChoice<Precision>): string {
  const why = `a step in bf16 ${timeInWords(bf16)}, in f32 ${timeInWords(f32)}`;
  return `${chosen} for this phase: ${why}${note ? ` (${note})` : ''}`;
}
