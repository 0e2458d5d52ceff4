import { RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { phasesOf } from './commits.ts';
import { standingFor } from './ends.ts';
import { namePattern, type StepKey } from './keys.ts';

/** RUN, RUN/PHASE or RUN/PHASE@STEP, as a person types it. */
export interface CheckpointName {
  readonly run: string;
  readonly phase?: string;
  readonly step?: number;
}

/** What can't name a new run, in one sentence; null for what can. */
export function runNameProblem(run: string): string | null {
  // What begins with - a command would take for an option.
  if (namePattern.test(run) && !run.startsWith('-')) return null;
  return `${JSON.stringify(run.slice(0, 100))} can't name a run; allowed: at most 200 of A-Z, a-z, 0-9, ., :, _ and -, and no - at the start`;
}

export function parseName(what: string): CheckpointName {
  const [, run = '', phase, step] = /^([^/@]+)(?:\/([^/@]+)(?:@(\d{1,15}))?)?$/.exec(what) ?? [];
  if (!namePattern.test(run) || (phase !== undefined && !namePattern.test(phase)))
    throw new RunnerError(
      'RecipeInvalid',
      `${JSON.stringify(what)} names no checkpoint; type RUN, RUN/PHASE or RUN/PHASE@STEP, such as emoji/pretrain@400`,
    );
  return { run, ...(phase === undefined ? {} : { phase }), ...(step === undefined ? {} : { step: Number(step) }) };
}

/** The one checkpoint that stands for RUN/PHASE@STEP, or for RUN/PHASE. */
export async function findNamed(store: ObjectStore, what: string): Promise<StepKey> {
  const { run, phase, step } = parseName(what);
  if (phase === undefined) {
    const [first = 'pretrain'] = await phasesOf(store, run);
    throw new RunnerError(
      'RecipeInvalid',
      `${what} is a run; type RUN/PHASE or RUN/PHASE@STEP, such as ${what}/${first}`,
    );
  }
  const [first] = await standingFor(store, { run, phase }, step);
  if (first) return first;
  throw new RunnerError(
    'ObjectMissing',
    `bucket ${store.bucket} has no checkpoint ${what}; npm run siglip2 -- ls ${run} shows what is there`,
  );
}
