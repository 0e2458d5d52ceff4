import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import type { StepKey } from './keys.ts';

/** How people name a checkpoint. */
export function nameOf({ run, phase, revision, step }: StepKey): string {
  return `${run}/${phase}@${step}${revision > 0 ? ` (revision ${revision})` : ''}`;
}

/** A committed checkpoint that can't be used. `object` is the key that is missing or wrong. */
export function checkpointDamaged(at: StepKey, object: string, problem: string, cause?: unknown): RunnerError {
  const { run, phase, revision, step } = at;
  return new RunnerError(
    'CheckpointDamaged',
    `checkpoint ${nameOf(at)} is damaged: ${object} ${problem}; a run goes on from an older checkpoint by itself, and npm run siglip2 -- pull ${run} DIR fetches the newest that verifies`,
    { details: { run, phase, revision, step, object }, cause },
  );
}

export const isCheckpointDamaged = (error: unknown): boolean => isRunnerError(error, 'CheckpointDamaged');
