import type { Commit } from '../src/checkpoint/types.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { isRunnerError, type RunnerError } from '../src/runtime/errors.ts';
import type { TrainerProcess } from '../src/trainer/process.ts';
import type { MeasureJob, StepTime, TrainerJob, TrainJob } from '../src/trainer/protocol.ts';
import { type MeasuredChoice, type Question, recordChoice, recordedChoice } from './measured-choice.ts';
import type { Shard } from './shard.ts';
import { inputHash } from './shard-start.ts';

/** What the steps that are measured are made from. */
export type StepInputs = Omit<MeasureJob, 'kind' | 'settings'> & Pick<TrainerJob, 'threads'>;

/** What a shard is trained with. */
export type Settled = Pick<TrainJob, 'settings' | 'measured'>;

/** One of the two that a question is about. */
export interface Variant {
  readonly settings: PhaseSettings;
  /** "a step ..." */
  readonly how: string;
}

/** The other has last bits of its own, and a longer start, when a step with it takes at most so much of the time. */
export const worthwhile = 0.97;

/**
 * The settings with what a recipe leaves to measurement: as it was written down, else measured now. Null when the attempt
 * was stopped meanwhile.
 *
 * @param begun what holds where there are commits of these settings and nothing is written down
 */
export async function settleByTime<V extends string>(
  shard: Shard,
  trainer: TrainerProcess,
  start: Commit | null,
  inputs: StepInputs,
  question: Question<V>,
  variants: Readonly<Record<V, Variant>>,
  begun: (commit: Commit) => Promise<Settled>,
): Promise<Settled | null> {
  const { store, log } = shard.deps;
  const { plan } = shard.input;
  const settled = ({ chosen, hash }: MeasuredChoice<V>): Settled => ({
    settings: variants[chosen].settings,
    measured: hash,
  });
  const recorded = await recordedChoice(store, plan, question);
  if (recorded) return settled(recorded);
  if (start && start.inputHash === inputHash(shard.input, start.step)) return begun(start);
  const choice = await chooseByTime(shard, trainer, question, inputs, variants);
  if (choice === null) return null;
  log.info({ run: plan.run, phase: plan.phase, ...choice }, inWords(question, variants, choice));
  return settled(choice);
}

/**
 * Measures both and writes down which it is to be, before the first step of the phase is made. Null when the attempt was
 * stopped meanwhile. Throws what is wrong when neither works.
 *
 * - killed before it is written: no step was made, and the next attempt measures again;
 * - killed after that: every attempt, resume and shard reads it, and none measures;
 * - two attempts at once: both train by what was written first (`recordChoice`).
 */
async function chooseByTime<V extends string>(
  shard: Shard,
  trainer: TrainerProcess,
  question: Question<V>,
  inputs: StepInputs,
  variants: Readonly<Record<V, Variant>>,
): Promise<MeasuredChoice<V> | null> {
  const { plain, other } = question;
  const measured = {} as Record<V, StepTime | RunnerError>;
  for (const value of [plain, other]) {
    const { settings, how } = variants[value];
    shard.doing = `measuring ${question.asked}: a step ${how}`;
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

function inWords<V extends string>(
  { name, plain, other }: Question<V>,
  variants: Readonly<Record<V, Variant>>,
  { chosen, ms, note }: MeasuredChoice<V>,
): string {
  const took = (value: V) =>
    `${variants[value].how} ${ms[value] === null ? 'did not work' : `took ${ms[value].toFixed(1)} ms`}`;
  return `${name} is ${chosen} for this phase: a step ${took(other)}, ${took(plain)}${note ? ` (${note})` : ''}`;
}
