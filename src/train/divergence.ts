import type { BatchFacts } from '../data/batches/types.ts';
import type { InformationBound } from '../recipe/information.ts';
import { squareObjectives } from '../recipe/objectives.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { StepMetrics } from './step.ts';
import { entropyOf, informationOf } from './watched.ts';

/** A batch as it is named. */
type Named = Pick<BatchFacts, 'index'>;

/**
 * What is wrong with a step that a phase can't go on from, as `kind` in the details of a NonFinite. The phase goes back
 * to its last checkpoint and leaves out the batch, whatever it is; what to do when that does not help depends on it.
 */
export type Divergence =
  | 'deadInputs'
  | 'scoreNotFinite'
  | 'lossNotFinite'
  | 'gradientNotFinite'
  | 'lossAboveMax'
  /** No batch is at fault: the phase waits at once. */
  | 'teacherCollapsed';

/** The error of a step that has diverged on a batch. */
export function diverged(kind: Divergence, step: number, batch: Named, message: string, cause?: unknown): RunnerError {
  return new RunnerError('NonFinite', message, { details: { kind, step, batch: batch.index }, cause });
}

/** Smaller batches may be alike by chance, where data have many copies or blank pictures. */
const fewest = 16;

/** Looks at what a step is about to train on. NonFinite when all of it is alike: nothing can be learned from it. */
export function checkBatch(
  { batches, objectives }: PhaseSettings,
  step: number,
  { alike, ...batch }: Pick<BatchFacts, 'index' | 'alike'>,
  count: number,
): void {
  if (!alike || count < fewest) return;
  // What only looks at pictures may do without texts.
  const same = alike.pictures ? 'pictures' : objectives.sigmoid && alike.texts ? 'texts' : null;
  if (same === null) return;
  // Their batches are fixed: see `overridesProblem`.
  const fixed = batches.naflex !== undefined || batches.candidates !== undefined;
  const then = fixed ? 'start again with others' : 'retryPhase with other data or with skip';
  throw diverged(
    'deadInputs',
    step,
    batch,
    `all ${count} ${same} of ${nameOf(step, batch)} are the same, so that it can teach nothing: look at the data, then ${then}`,
  );
}

/** Looks at what a step came to. NonFinite when it has diverged. */
export function checkStep(
  { maxLoss = Number.POSITIVE_INFINITY, precision }: PhaseSettings,
  step: number,
  batch: Named,
  { loss, gradientNorm }: StepMetrics,
): void {
  const fail = (kind: Divergence, message: string) => diverged(kind, step, batch, message);
  const at = nameOf(step, batch);
  const slower = 'retryPhase with a lower learningRate';
  if (!Number.isFinite(loss))
    throw fail(
      'lossNotFinite',
      `the loss of ${at} is ${loss}: ${slower}, or start again with a longer schedule.warmup`,
    );
  if (!Number.isFinite(gradientNorm)) {
    const exact = precision === 'bf16' ? ' or with precision f32' : '';
    throw fail(
      'gradientNotFinite',
      `the gradient norm of ${at} is ${gradientNorm}, at a loss of ${loss}: ${slower}${exact}`,
    );
  }
  if (loss > maxLoss)
    throw fail(
      'lossAboveMax',
      `the loss of ${at} is ${loss}, above the divergence.maxLoss of ${maxLoss}: ${slower}, or start again with a higher divergence.maxLoss`,
    );
}

/** Looks at what the teacher says, where that is known. NonFinite when it says the same of all pictures. */
export function checkTeacher(
  { objectives }: Pick<PhaseSettings, 'objectives'>,
  { min, from }: InformationBound,
  step: number,
  batch: Named,
  watched: Readonly<Record<string, number>>,
): void {
  if (step < from) return;
  for (const name of squareObjectives) {
    const information = watched[informationOf(name)];
    if (information === undefined || information >= min) continue;
    const most = Math.log(objectives[name]!.prototypes);
    const entropy = watched[entropyOf(name)]!;
    const [how, cure] =
      entropy > most / 2
        ? ['all prototypes alike', 'a lower teacherTemperature']
        : ['one prototype', 'a lower centerMomentum'];
    throw diverged(
      'teacherCollapsed',
      step,
      batch,
      `the teacher of ${name} says the same of all pictures, ${how}: at step ${step} its information is ${information.toPrecision(2)} nats, below the divergence.minInformation of ${min} (entropy ${entropy.toFixed(2)} of ${most.toFixed(2)}): retryPhase with ${cure} or learningRate, or with minInformation 0 to go on all the same`,
    );
  }
}

/** With the number that `retryPhase` skips it by. */
const nameOf = (step: number, { index }: Named) => `step ${step} (batch ${index})`;
