import { patched, setHandler, workflowInfo } from '@temporalio/workflow';
import { activitiesBy } from './activities-by.ts';
import { clearFailure, invalid, sentence } from './failures.ts';
import { indexed } from './index-shards.ts';
import { historyQuery, planQuery, statusOf, statusQuery } from './messages.ts';
import type { PhaseInput } from './phase-progress.ts';
import { lightOptions } from './policies.ts';
import { inWords, isObject } from './wishes.ts';

const { planPhase } = activitiesBy(lightOptions);

/**
 * A phase that a person starts alone. The workflow ID is the name of its run, or RUN/PHASE, as a run names its own: the
 * checkpoint that it goes on from is in the bucket, of that run or of another.
 */
export interface PhaseAlone {
  readonly recipe: unknown;
  readonly phase?: string;
}

/** What a phase begins with: what its run or its history before gave it, or what a person's recipe says. */
export async function begun(given: readonly unknown[]): Promise<PhaseInput> {
  const [input] = given;
  const problem = inputProblem(given);
  // What began with a second input before this was written goes on.
  if (problem !== null && patched('input-checked'))
    throw invalid(`${problem}; allowed: {"phase": "naflex", "recipe": ...}, with a whole recipe`);
  return isObject(input) && 'recipe' in input ? planned(input as unknown as PhaseAlone) : (input as PhaseInput);
}

async function planned({ recipe, phase }: PhaseAlone): Promise<PhaseInput> {
  const id = workflowInfo().workflowId;
  const run = phase !== undefined && id.endsWith(`/${phase}`) ? id.slice(0, -phase.length - 1) : id;
  let failure: string | null = null;
  // Until there is a plan, and after there could be none, for who asks.
  const state = () => (failure === null ? 'planning' : 'failed');
  setHandler(statusQuery, () => ({
    ...statusOf(run, state(), null, 1, failure, workflowInfo().unsafe.now()),
    phase: phase ?? null,
  }));
  setHandler(planQuery, () => []);
  setHandler(historyQuery, () => ({}));
  try {
    await indexed({ run, recipe });
    return { plan: await planPhase({ run, recipe, ...(phase !== undefined && { phase }) }) };
  } catch (error) {
    failure = sentence(error);
    throw clearFailure(error);
  }
}

function inputProblem(given: readonly unknown[]): string | null {
  const [input] = given;
  if (given.length === 0) return 'siglip2Phase has no input';
  if (given.length > 1) return `siglip2Phase has ${given.length} inputs`;
  if (!isObject(input)) return `the input of siglip2Phase is ${inWords(input)}`;
  if ('recipe' in input) {
    if (input.phase === undefined || typeof input.phase === 'string') return null;
    return `phase is ${inWords(input.phase)}`;
  }
  if ('plan' in input)
    return isPlan(input.plan) ? null : 'the input of siglip2Phase has a plan that a run did not make';
  if ('phases' in input) return 'the input of siglip2Phase is a recipe itself (siglip2Recipe runs a whole one)';
  return 'the input of siglip2Phase has no recipe';
}

/** As far as a slip is told from what `plan` made: what is beneath, activities look at. */
function isPlan(plan: unknown): boolean {
  if (!isObject(plan)) return false;
  const { run, phase, batch, settings, index, from, to, branches } = plan;
  const positions = [from, to].every((at) => isObject(at) && Number.isInteger(at.step) && Number.isFinite(at.examples));
  const names = typeof run === 'string' && typeof phase === 'string' && Number.isInteger(batch);
  return names && positions && isObject(settings) && isObject(index) && Array.isArray(branches);
}
