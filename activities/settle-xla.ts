import type { Commit } from '../src/checkpoint/types.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { isRunnerError, type RunnerError } from '../src/runtime/errors.ts';
import type { TrainerProcess } from '../src/trainer/process.ts';
import type { MeasureJob, StepTime, TrainJob } from '../src/trainer/protocol.ts';
import type { Shard } from './shard.ts';
import { inputHash } from './shard-start.ts';
import { recordChoice, recordedChoice, type XlaChoice } from './xla-choice.ts';

/** What a shard is trained with. */
export type Settled = Pick<TrainJob, 'settings' | 'measured'>;

/** XLA is worth a longer start, and memory of its own, when a step takes at most so much of the time. */
export const worthwhile = 0.97;

/**
 * The settings with XLA on or off, where the recipe leaves it to measurement; null when the attempt was stopped
 * meanwhile. On a CPU it is off. On a GPU both are measured before the first step of the phase, and the choice is
 * written into the bucket before that step is made. XLA has its own last bits, so every later byte depends on it:
 *
 * - killed before it is written: no step was made, and the next attempt measures again;
 * - killed after that: every attempt, resume and shard on a GPU reads it, and none measures;
 * - two attempts at once: both train by what was written first (`recordChoice`);
 * - commits of these settings and no choice, as of an older version or of a CPU: begun without XLA, it goes on so.
 */
export async function settleXla(
  shard: Shard,
  trainer: TrainerProcess,
  start: Commit | null,
  settings: PhaseSettings,
  job: Omit<MeasureJob, 'kind' | 'settings'>,
): Promise<Settled | null> {
  const { store, onPoint } = shard.deps;
  const { plan } = shard.input;
  if (settings.xla !== undefined || (await trainer.device()) !== 'gpu') return { settings };
  const recorded = await recordedChoice(store, plan);
  if (recorded) return settled(settings, recorded);
  if (start && start.inputHash === inputHash(shard.input, start.step)) return { settings };
  const measured = await measureBoth(shard, trainer, settings, job);
  if (measured === null) return null;
  await onPoint?.('measured');
  const choice = await recordChoice(store, plan, measured);
  await onPoint?.('chosen');
  shard.deps.log.info({ run: plan.run, phase: plan.phase, ...choice }, `XLA is ${inWords(choice)}`);
  return settled(settings, choice);
}

const settled = (settings: PhaseSettings, { xla, hash }: XlaChoice): Settled => ({
  settings: xla === 'on' ? { ...settings, xla } : settings,
  measured: hash,
});

function inWords({ xla, ms: { off, on }, note }: XlaChoice): string {
  const time = (ms: number | null) => (ms === null ? 'did not work' : `took ${ms.toFixed(1)} ms`);
  const why = `a step with it ${time(on)}, without it ${time(off)}`;
  return `${xla} for this phase: ${why}${note ? ` (${note})` : ''}`;
}

/** Null when the attempt was stopped. Throws what is wrong when neither works. */
async function measureBoth(
  shard: Shard,
  trainer: TrainerProcess,
  settings: PhaseSettings,
  job: Omit<MeasureJob, 'kind' | 'settings'>,
): Promise<XlaChoice | null> {
  const measure = (xla: 'off' | 'on') => {
    shard.doing = `measuring whether XLA is faster: a step ${xla === 'on' ? 'with' : 'without'} it`;
    const variant = xla === 'on' ? { ...settings, xla } : settings;
    return timeOrProblem(shard, trainer, { ...job, kind: 'measure', settings: variant });
  };
  const off = await measure('off');
  if (off === null) return null;
  const on = await measure('on');
  if (on === null) return null;
  if ('code' in on && 'code' in off) throw off;
  const choice = (xla: 'off' | 'on', of: StepTime): XlaChoice => {
    const ms = { off: 'ms' in off ? off.ms : null, on: 'ms' in on ? on.ms : null };
    const failed = [off, on].find((one): one is RunnerError => 'code' in one);
    return { version: 1, xla, ms, hash: of.hash, ...(failed && { note: failed.message }) };
  };
  if ('code' in on) return choice('off', off as StepTime);
  return 'code' in off || on.ms < worthwhile * off.ms ? choice('on', on) : choice('off', off);
}

/**
 * The time of a step, or why it does not work: it does not compile, has no place, or takes too much memory. A trainer
 * that was lost may have been killed by accident, so it has a second try.
 */
async function timeOrProblem(
  { deps, input: { plan }, attempt }: Shard,
  trainer: TrainerProcess,
  job: MeasureJob,
): Promise<StepTime | RunnerError | null> {
  const note = (text: string) => deps.log.info({ run: plan.run, phase: plan.phase }, text);
  for (let lost = 0; ; ) {
    try {
      return (await trainer.run(job, { note }, attempt.signal)) as StepTime | null;
    } catch (error) {
      if (isRunnerError(error, 'DeviceMissing')) return error;
      if (!isRunnerError(error, 'TrainerCrashed') && !isRunnerError(error, 'TrainerStuck')) throw error;
      if (attempt.signal.aborted) return null;
      if (++lost === 2) return error;
    }
  }
}
