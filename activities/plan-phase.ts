import { findCommits, readCommit } from '../src/checkpoint/commits.ts';
import { toRef } from '../src/checkpoint/documents.ts';
import { readManifest } from '../src/checkpoint/manifest.ts';
import { pin } from '../src/checkpoint/pins.ts';
import { newestFirst } from '../src/checkpoint/retention.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import { borrowerName } from './borrow.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { plan } from './plan.ts';
import type { PhasePlan, PlanPhaseInput } from './types.ts';

/**
 * Plans a run, and of it the one phase that is trained alone. What that goes on from must be in the bucket already, from
 * this run or from another, and is held until the phase has ended.
 */
export async function planPhase(deps: Dependencies, input: PlanPhaseInput, attempt: Attempt): Promise<PhasePlan> {
  const { phases } = await plan(deps, input, attempt);
  const names = phases.map(({ phase }) => phase).join(', ');
  const wanted = phases.filter(({ phase }) => input.phase === undefined || phase === input.phase);
  if (wanted.length !== 1) {
    const said = input.phase === undefined ? 'phase is missing' : `phase is ${JSON.stringify(input.phase)}`;
    throw new RunnerError('RecipeInvalid', `${said}; allowed, of this recipe: ${names}`);
  }
  const phase = wanted[0]!;
  const { origin, from, run } = phase;
  if (!origin || 'checkpoint' in origin) return phase;
  const before = (await findCommits(deps.store, { run, phase: origin.phase })).filter(({ step }) => step === from.step);
  const [newest] = newestFirst(before);
  if (!newest)
    throw new RunnerError(
      'RecipeInvalid',
      `phase ${phase.phase} goes on from ${run}/${origin.phase}@${from.step}, and bucket ${deps.store.bucket} has no such checkpoint; train phase ${origin.phase} first, or name another run in "from"`,
    );
  await pin(deps.store, newest, borrowerName(run, phase.phase));
  const commit = await readCommit(deps.store, newest);
  await readManifest(deps.store, commit);
  return { ...phase, origin: { checkpoint: toRef(commit) } };
}
