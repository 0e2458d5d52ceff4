import {
  allHandlersFinished,
  CancellationScope,
  ContinueAsNew,
  condition,
  continueAsNew,
  isCancellation,
  patched,
  proxyActivities,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities, PhasePlan, ShardResult } from '../activities/types.ts';
import { nextCut } from '../src/recipe/shards.ts';
import { type PhaseAlone, planned } from './alone.ts';
import { begin, end, leave, prune } from './begin-and-leave.ts';
import { clearFailure, sentence } from './failures.ts';
import { grantWishes } from './grant-wishes.ts';
import { stopInTime } from './limits.ts';
import { setHandlers } from './phase-handlers.ts';
import { type PhaseInput, PhaseProgress } from './phase-progress.ts';
import { shardsOfOneHistory, trainOptions } from './policies.ts';
import { score } from './score-teacher.ts';
import { meetFailure } from './shard-failure.ts';

const { trainShard } = proxyActivities<Activities>(trainOptions);

/** What a phase ends with, and the plan that it had then; phases of older versions don't say. */
export type PhaseEnd = ShardResult & { readonly plan?: PhasePlan };

/**
 * One phase: shards one after another, each from the recorded result of the one before. Ends with the last
 * checkpoint. When cancelled it ends with the checkpoint that the shard in progress could still commit. What fails and
 * can't be tried again makes it wait for a person; handlers of updates only note a wish, and the loop below grants it.
 */
export async function siglip2Phase(given: PhaseInput | PhaseAlone): Promise<PhaseEnd> {
  const phase = new PhaseProgress('recipe' in given ? await planned(given) : given);
  setHandlers(phase);
  try {
    await phase.tell(phase.working);
    for (let shards = 0; phase.step < phase.plan.to.step; shards++) {
      await grantWishes(phase);
      if (phase.held !== null) {
        await phase.tell(phase.held);
        await condition(() => phase.wishes.length > 0);
        await grantWishes(phase);
        if (phase.held === null) await phase.tell(phase.working);
        continue;
      }
      if (historyIsFull(phase, shards)) {
        await condition(allHandlersFinished);
        await continueAsNew<typeof siglip2Phase>(phase.carried());
      }
      const began = Date.now();
      try {
        const { curation } = phase.plan;
        const shard = new CancellationScope();
        phase.shard = shard;
        if (curation && phase.working === 'scoring') {
          await shard.run(() => score(phase, curation));
          // Runs of before this was written told of training that was not to come.
          if (CancellationScope.current().consideredCancelled && patched('stopped-after-scoring')) break;
          await phase.tell(phase.working);
          continue;
        }
        await begin(phase);
        await train(phase, shard);
        await prune(phase);
      } catch (error) {
        if (!isCancellation(error)) await meetFailure(phase, error);
        // Stopped before its first checkpoint, and not by who wants the phase to end: a wish is looked at next.
        else if (CancellationScope.current().consideredCancelled) throw error;
      } finally {
        // Timers that were to stop it.
        phase.shard?.cancel();
        phase.shard = null;
        phase.deviceMs += Date.now() - began;
      }
      // A cancelled shard answers with what it could commit; the wish to end comes through here.
      if (CancellationScope.current().consideredCancelled) break;
      if (phase.held === null) await phase.tell(phase.working);
    }
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    const stopped = isCancellation(error);
    if (!stopped) phase.failure = sentence(error);
    await leave(phase);
    await CancellationScope.nonCancellable(() => phase.tell(stopped ? 'stopped' : 'failed'));
    throw clearFailure(error);
  }
  if (phase.step < phase.plan.to.step) {
    await leave(phase);
    await CancellationScope.nonCancellable(() => phase.tell('stopped'));
    await CancellationScope.current().cancelRequested;
  }
  await end(phase);
  await phase.tell('done');
  return { ...phase.last!, plan: phase.plan };
}

/** The next shard, up to its cut, to a limit, or to where it is told to stop. */
async function train(phase: PhaseProgress, shard: CancellationScope): Promise<void> {
  const { plan, revision, parent, skip, from, limits, pace, deviceMs, began, step } = phase;
  const end = Math.min(plan.to.step, limits.step ?? plan.to.step);
  const size = plan.shardSteps === 'auto' ? (pace?.shardSteps ?? end) : plan.shardSteps;
  const toStep = nextCut(step, size, end, plan.branches);
  const result = await shard.run(() => {
    stopInTime(shard, limits, deviceMs, began);
    return trainShard({ plan, revision, parent, skip, from, toStep, pace });
  });
  phase.last = result;
  phase.from = result.checkpoint;
  phase.pace ??= result.pace ?? null;
}

/** Whether what comes next belongs in a history of its own: a long one replays slowly. */
function historyIsFull({ scored, working }: PhaseProgress, shards: number): boolean {
  const scores = shards > 0 && scored > 0 && working === 'scoring';
  return scores || shards >= shardsOfOneHistory || workflowInfo().continueAsNewSuggested;
}
