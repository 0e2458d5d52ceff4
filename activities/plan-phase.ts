import { borrowerName } from '../src/checkpoint/borrowed.ts';
import { toRef } from '../src/checkpoint/documents.ts';
import { standingFor } from '../src/checkpoint/ends.ts';
import { pin } from '../src/checkpoint/pins.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { plan } from './plan.ts';
import type { PhasePlan, PlanPhaseInput } from './types/plan.ts';

/**
 * Plans a run, and of it the one phase that is trained alone. What that goes on from, and its teacher, must be in the bucket
 * already, from this run or from another, and are held until the phase has ended.
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
  const { origin, from, curation } = phase;
  const ended = (name: string) => phases.find((one) => one.phase === name)!.to.step;
  return {
    ...phase,
    ...(origin &&
      'phase' in origin && {
        origin: { checkpoint: await inBucket(deps, phase, 'goes on from', origin.phase, from.step) },
      }),
    ...(curation &&
      'phase' in curation.teacher && {
        curation: {
          ...curation,
          teacher: {
            checkpoint: await inBucket(
              deps,
              phase,
              'is scored by',
              curation.teacher.phase,
              ended(curation.teacher.phase),
            ),
          },
        },
      }),
  };
}

/** A checkpoint of an earlier phase of the run, which is held until the one that needs it has ended. */
async function inBucket(
  { store }: Dependencies,
  { run, phase }: PhasePlan,
  does: string,
  earlier: string,
  step: number,
): Promise<CheckpointRef> {
  const [newest] = await standingFor(store, { run, phase: earlier }, step);
  if (!newest)
    throw new RunnerError(
      'RecipeInvalid',
      `phase ${phase} ${does} ${run}/${earlier}@${step}, and bucket ${store.bucket} has no such checkpoint; train phase ${earlier} first, or name another run in "${does === 'goes on from' ? 'from' : 'curation.teacher'}"`,
    );
  return toRef(await pin(store, newest, borrowerName(run, phase)));
}
