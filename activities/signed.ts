import { atWork } from '../src/checkpoint/work.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import type { PhasePlan } from './types/plan.ts';

type Verb<I, O> = (deps: Dependencies, input: I, attempt: Attempt) => Promise<O>;

/** Says in the bucket that an attempt at a phase is at work, for as long as it is. */
export function signed<I extends { readonly plan: Pick<PhasePlan, 'run' | 'phase'> }, O>(verb: Verb<I, O>): Verb<I, O> {
  const saying: Verb<I, O> = (deps, input, attempt) => {
    const { run, phase } = input.plan;
    return atWork(deps.store, { run, phase, attempt: attempt.id }, () => verb(deps, input, attempt));
  };
  // Logs name the activity.
  return Object.defineProperty(saying, 'name', { value: verb.name });
}
