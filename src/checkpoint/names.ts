import { RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { findCommits } from './commits.ts';
import { namePattern, type StepKey } from './keys.ts';
import { newestFirst } from './retention.ts';

/** RUN, RUN/PHASE or RUN/PHASE@STEP, as a person types it. */
export interface CheckpointName {
  readonly run: string;
  readonly phase?: string;
  readonly step?: number;
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

/** The one checkpoint that RUN/PHASE@STEP names, of its newest revision; of RUN/PHASE the newest. */
export async function findNamed(store: ObjectStore, what: string): Promise<StepKey> {
  const { run, phase, step } = parseName(what);
  if (phase === undefined)
    throw new RunnerError(
      'RecipeInvalid',
      `${what} is a run; type RUN/PHASE or RUN/PHASE@STEP, such as ${what}/pretrain`,
    );
  const found = (await findCommits(store, { run, phase })).filter((at) => step === undefined || at.step === step);
  const [newest] = newestFirst(found);
  if (newest) return newest;
  throw new RunnerError(
    'ObjectMissing',
    `bucket ${store.bucket} has no checkpoint ${what}; npm run siglip2 -- ls ${run} shows what is there`,
  );
}
