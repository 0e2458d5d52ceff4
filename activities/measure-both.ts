import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { isRunnerError, type RunnerError } from '../src/runtime/errors.ts';
import type { TrainerProcess } from '../src/trainer/process.ts';
import type { MeasureJob, StepTime, TrainerJob } from '../src/trainer/protocol.ts';
import { type MeasuredChoice, type Question, recordChoice } from './measured-choice.ts';
import type { Shard } from './shard.ts';

/** What the steps that are measured are made from. */
export type StepInputs = Omit<MeasureJob, 'kind' | 'settings'> & Pick<TrainerJob, 'threads'>;

/** One of the two that a question is about, with its name for people. */
export interface Variant {
  readonly settings: PhaseSettings;
  readonly doing: string;
}

/** The other has last bits of its own, and a longer start, when a step with it takes at most so much of the time. */
export const worthwhile = 0.97;

/**
 * Measures both and writes down which it is to be, before the first step of the phase is made. Null when the attempt was
 * stopped meanwhile. Throws what is wrong when neither works.
 *
 * - killed before it is written: no step was made, and the next attempt measures again;
 * - killed after that: every attempt, resume and shard reads it, and none measures;
 * - two attempts at once: both train by what was written first (`recordChoice`).
 */
export async function chooseByTime<V extends string>(
  shard: Shard,
  trainer: TrainerProcess,
  question: Question<V>,
  inputs: StepInputs,
  variants: Readonly<Record<V, Variant>>,
): Promise<MeasuredChoice<V> | null> {
  const { plain, other } = question;
  const measured = {} as Record<V, StepTime | RunnerError>;
  for (const value of [plain, other]) {
    const { settings, doing } = variants[value];
    shard.doing = doing;
    const time = await timeOrProblem(shard, trainer, { ...inputs, kind: 'measure', settings });
    if (time === null) return null;
    measured[value] = time;
  }
  await shard.deps.onPoint?.('measured');
  const choice = await recordChoice(shard.deps.store, shard.input.plan, question, faster(question, measured));
  await shard.deps.onPoint?.('chosen');
  return choice;
}

function faster<V extends string>(
  { plain, other }: Question<V>,
  measured: Readonly<Record<V, StepTime | RunnerError>>,
): MeasuredChoice<V> {
  const msOf = (value: V) => ('ms' in measured[value] ? measured[value].ms : null);
  const ms = { [plain]: msOf(plain), [other]: msOf(other) } as Record<V, number | null>;
  const failed = [measured[plain], measured[other]].find((one): one is RunnerError => 'code' in one);
  const [without, having] = [msOf(plain), msOf(other)];
  if (without === null && having === null) throw failed!;
  const chosen = without === null || (having !== null && having < worthwhile * without) ? other : plain;
  return { chosen, ms, hash: (measured[chosen] as StepTime).hash, ...(failed && { note: failed.message }) };
}

/**
 * The time of a step, or why it does not work: it does not compile, has no place, or takes too much memory. A trainer
 * that was lost may have been killed by accident, so it has a second try.
 */
async function timeOrProblem(
  { deps, input: { plan }, attempt }: Shard,
  trainer: TrainerProcess,
  job: MeasureJob & Pick<TrainerJob, 'threads'>,
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

/** `32.1 ms`, of what did not work that it did not. */
export const timeInWords = (ms: number | null) => (ms === null ? 'did not work' : `took ${ms.toFixed(1)} ms`);
