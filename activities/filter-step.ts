import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FilterPlan, FilterStep } from '../src/filtering/plan.ts';
import { keysOf } from '../src/filtering/step.ts';
import { steps } from '../src/filtering/steps.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { readDocumentAs } from './documents.ts';
import { beat } from './heartbeat.ts';
import type { FilterStepInput } from './types.ts';

/**
 * One part of one step of a filter. What it makes lies in the bucket under a key that its input names, is the same whoever
 * makes it and however often, and is not made again where it is there.
 */
export async function filterStep(
  { store, scratch }: Dependencies,
  { begun, step, part }: FilterStepInput<Exclude<FilterStep, 'embed'>>,
  attempt: Attempt,
): Promise<{ readonly step: FilterStep }> {
  let doing: string = step;
  const heart = beat(attempt, () => ({ doing }));
  const folder = join(scratch, `filter-${attempt.id}`);
  try {
    const plan = await readDocumentAs<FilterPlan>(store, begun.document, join(scratch, 'documents'));
    const keys = keysOf(plan);
    const { mark, make } = steps[step];
    const marked = mark({ keys, part });
    if (marked !== null && (await store.head(marked))) return { step };
    await make({
      ...{ store, plan, keys, part, folder },
      doing: (text) => {
        attempt.signal.throwIfAborted();
        doing = text;
      },
    });
    return { step };
  } catch (error) {
    if (!isRunnerError(error, 'ObjectMissing')) throw error;
    throw new RunnerError(
      'DataContract',
      `filter ${begun.name}: ${error.message}, which an earlier step has made; another filter of this name may have ended meanwhile: start it again`,
      { cause: error },
    );
  } finally {
    heart.stop();
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}
