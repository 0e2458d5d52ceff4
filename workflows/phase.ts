import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities, PhasePlan, ShardResult } from '../activities/types.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import { nextCut } from '../src/recipe/shards.ts';
import { clearFailure, rootFailure, sentence } from './failures.ts';
import { type PhaseReport, type PhaseState, phaseReportSignal, statusOf, statusQuery } from './messages.ts';
import { lightOptions, shardsOfOneHistory, trainOptions } from './policies.ts';
import { showIn } from './search-attributes.ts';

/** What a phase begins with, and what it carries over when it continues as new. */
export interface PhaseInput {
  readonly plan: PhasePlan;
  /** The checkpoint that it goes on from; by default the one that its plan names. */
  readonly parent?: CheckpointRef | null;
  readonly revision?: number;
  readonly from?: CheckpointRef | null;
  readonly last?: ShardResult | null;
}

/** More damage than this in one phase is no accident of a disk. */
const mostRecoveries = 5;

const { trainShard } = proxyActivities<Activities>(trainOptions);
const { recoverCheckpoint } = proxyActivities<Activities>(lightOptions);

/**
 * One phase: shards one after another, each from the recorded result of the one before. Ends with the last
 * checkpoint. When cancelled it ends with the checkpoint that the shard in progress could still commit.
 */
export async function siglip2Phase(input: PhaseInput): Promise<ShardResult> {
  const { plan } = input;
  const parent = input.parent ?? (plan.origin && 'checkpoint' in plan.origin ? plan.origin.checkpoint : null);
  let { revision = 0, from = null, last = null } = input;
  let state: PhaseState = 'training';
  let failure: string | null = null;
  const report = (): PhaseReport => {
    return { phase: plan.phase, state, from: plan.from.step, total: plan.to.step, revision, last };
  };
  setHandler(statusQuery, () => statusOf(plan.run, state, report(), plan.batch, failure, workflowInfo().unsafe.now()));
  const tell = async (next: PhaseState) => {
    state = next;
    showIn({ run: plan.run, phase: plan.phase, state, step: from?.step ?? plan.from.step });
    const parent = workflowInfo().parent;
    // A parent that is gone needs no report.
    if (parent)
      await getExternalWorkflowHandle(parent.workflowId)
        .signal(phaseReportSignal, report())
        .catch(() => {});
  };
  const at = () => from?.step ?? plan.from.step;

  try {
    await tell('training');
    for (let shards = 0; at() < plan.to.step; shards++) {
      if (shards >= shardsOfOneHistory || workflowInfo().continueAsNewSuggested) {
        await condition(allHandlersFinished);
        await continueAsNew<typeof siglip2Phase>({ plan, parent, revision, from, last });
      }
      const toStep = nextCut(at(), plan.shardSteps, plan.to.step, plan.branches);
      try {
        last = await trainShard({ plan, revision, parent, from, toStep });
        from = last.checkpoint;
      } catch (error) {
        const damage = rootFailure(error);
        if (damage?.type !== 'CheckpointDamaged' || revision >= mostRecoveries) throw error;
        failure = damage.message;
        await tell('recovering');
        const belowStep = damagedStep(damage.details) ?? at();
        from = await recoverCheckpoint({ plan, parent, revision, belowStep });
        revision += 1;
      }
      // A cancelled shard answers with what it could commit; the wish to end comes through here.
      if (CancellationScope.current().consideredCancelled) break;
      await tell('training');
    }
  } catch (error) {
    if (isCancellation(error)) state = 'stopped';
    else failure = sentence(error);
    await CancellationScope.nonCancellable(() => tell(state === 'stopped' ? 'stopped' : 'failed'));
    throw clearFailure(error);
  }
  if (at() < plan.to.step) {
    await CancellationScope.nonCancellable(() => tell('stopped'));
    await CancellationScope.current().cancelRequested;
  }
  await tell('done');
  return last!;
}

function damagedStep(details: unknown[] | null | undefined): number | null {
  const step = (details?.[0] as { step?: unknown } | undefined)?.step;
  return typeof step === 'number' ? step : null;
}
