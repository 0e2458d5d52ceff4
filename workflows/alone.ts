import { proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { Activities } from '../activities/types.ts';
import { clearFailure } from './failures.ts';
import type { PhaseInput } from './phase-progress.ts';
import { lightOptions } from './policies.ts';

const { planPhase } = proxyActivities<Activities>(lightOptions);

/**
 * A phase that a person starts alone. The workflow ID is the name of its run, or RUN/PHASE, as a run names its own: the
 * checkpoint that it goes on from is in the bucket, of that run or of another.
 */
export interface PhaseAlone {
  readonly recipe: unknown;
  readonly phase?: string;
}

/** What the phase begins with. */
export async function planned({ recipe, phase }: PhaseAlone): Promise<PhaseInput> {
  const id = workflowInfo().workflowId;
  const run = phase !== undefined && id.endsWith(`/${phase}`) ? id.slice(0, -phase.length - 1) : id;
  try {
    return { plan: await planPhase({ run, recipe, ...(phase !== undefined && { phase }) }) };
  } catch (error) {
    throw clearFailure(error);
  }
}
