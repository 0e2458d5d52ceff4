import {
  allHandlersFinished,
  CancellationScope,
  ContinueAsNew,
  condition,
  continueAsNew,
  isCancellation,
  patched,
  workflowInfo,
} from '@temporalio/workflow';
import { mostOf } from '../src/recipe/replicas.ts';
import { nextCut } from '../src/recipe/shards.ts';
import { activitiesBy, showLog } from './activities-by.ts';
import { begun, type PhaseAlone } from './alone.ts';
import { begin, end, leave, prune } from './begin-and-leave.ts';
import { handOnBest, isOver, look, lookNext } from './early-stopping.ts';
import { evaluateOnTheWay } from './evaluate-tasks.ts';
import { clearFailure, sentence, spentOf } from './failures.ts';
import { grantWishes } from './grant-wishes.ts';
import { costLeft, deviceMsLeft, stopInTime } from './limits.ts';
import { addEvent } from './messages.ts';
import { setHandlers } from './phase-handlers.ts';
import { type PhaseInput, PhaseProgress } from './phase-progress.ts';
import { shardsOfOneHistory, slotsOfOneHistory, trainOptions } from './policies.ts';
import type { HandedOver, PhaseEnd } from './results.ts';
import { trainRound } from './rounds.ts';
import { score } from './score-teacher.ts';
import { meetFailure } from './shard-failure.ts';

const { trainShard } = activitiesBy(trainOptions);

/**
 * One phase: shards one after another, each from the recorded result of the one before. Ends with the last
 * checkpoint. When cancelled it ends with the checkpoint that the shard in progress could still commit. What fails and
 * can't be tried again makes it wait for a person; handlers of updates only note a wish, and the loop below grants it.
 */
export async function siglip2Phase(...given: [(PhaseInput | PhaseAlone)?]): Promise<PhaseEnd | HandedOver> {
  showLog();
  const phase = new PhaseProgress(await begun(given));
  setHandlers(phase);
  try {
    if (phase.held === null) await phase.tell(phase.working);
    for (let shards = 0; !isOver(phase); shards++) {
      const asked = phase.wishes.length > 0;
      await grantWishes(phase);
      // Histories of before `held-over` was written waited on.
      if (phase.handingOver || (historyIsFull(phase, shards) && (phase.held === null || patched('held-over')))) {
        await finishHandlers();
        if (phase.handingOver) return { handedOver: phase.carried() };
        await continueAsNew<typeof siglip2Phase>(phase.carried());
      }
      if (phase.held !== null) {
        await phase.tell(phase.held);
        await condition(() => phase.wishes.length > 0 || phase.handingOver);
        await grantWishes(phase);
        if (phase.held === null) await phase.tell(phase.working);
        continue;
      }
      // What it is at now, such as a later end, is seen before the next shard has ended.
      if (asked && patched('told-of-wishes')) {
        await phase.tell(phase.working);
        continue;
      }
      const [began, before] = [Date.now(), phase.step];
      // Before this was written the time that a shard waited in the queue counted too.
      const byDevice = patched('device-time');
      const { plan } = phase;
      try {
        const { curation } = plan;
        const shard = new CancellationScope();
        phase.shard = shard;
        if (curation && phase.working === 'scoring') {
          await shard.run(() => score(phase, curation, byDevice));
          // Runs of before this was written told of training that was not to come.
          if (CancellationScope.current().consideredCancelled && patched('stopped-after-scoring')) break;
          await phase.tell(phase.working);
          continue;
        }
        if (phase.due !== null) await look(phase, shard);
        else {
          await begin(phase);
          if (plan.replicas) await trainRound(phase, plan.replicas, shard);
          else await train(phase, shard, byDevice);
          await prune(phase);
          await evaluateOnTheWay(phase, before);
          lookNext(phase, before);
        }
      } catch (error) {
        if (byDevice) phase.spend(spentOf(error));
        if (!isCancellation(error)) await meetFailure(phase, error);
        // Stopped before its first checkpoint, and not by who wants the phase to end: a wish is looked at next.
        else if (CancellationScope.current().consideredCancelled) throw error;
      } finally {
        // Timers that were to stop it.
        phase.shard?.cancel();
        phase.shard = null;
        if (!byDevice) phase.deviceMs += Date.now() - began;
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
  if (!isOver(phase)) {
    await leave(phase);
    await CancellationScope.nonCancellable(() => phase.tell('stopped'));
    await CancellationScope.current().cancelRequested;
  }
  await handOnBest(phase);
  await end(phase);
  await phase.tell('done');
  const { last, plan, watched } = phase;
  return { ...last!, plan, ...(watched && { watched }) };
}

/** An update that was accepted is answered, and a wish to end is heeded, before a history ends. */
async function finishHandlers(): Promise<void> {
  await condition(allHandlersFinished);
  if (CancellationScope.current().consideredCancelled) await CancellationScope.current().cancelRequested;
}

/** The next shard, up to its cut, to a limit, or to where it is told to stop. */
async function train(phase: PhaseProgress, shard: CancellationScope, byDevice: boolean): Promise<void> {
  const { plan, revision, parent, skip, from, limits, pace, deviceMs, began, step, used } = phase;
  const end = Math.min(plan.to.step, limits.step ?? plan.to.step);
  const size = plan.shardSteps === 'auto' ? (pace?.shardSteps ?? end) : plan.shardSteps;
  const toStep = nextCut(step, size, end, plan.branches);
  const result = await shard.run(() => {
    stopInTime(shard, byDevice ? { ...limits, deviceHours: undefined } : limits, deviceMs, began);
    const time = byDevice ? { ...deviceMsLeft(limits, deviceMs), ...costLeft(limits, used) } : {};
    return trainShard({ plan, revision, parent, skip, from, toStep, pace, ...time });
  });
  if (byDevice) phase.spend(result);
  const attempts = Number(/^[^-]*-(\d+)-/.exec(result.attempt)?.[1] ?? 1);
  if (attempts > 1)
    phase.note(`the shard to step ${result.checkpoint.step} was ended by attempt ${attempts}: killed, or tried again`);
  const { remark } = result;
  if (remark !== undefined && remark !== phase.last?.remark) addEvent(phase.events, result.checkpoint.step, remark);
  phase.last = result;
  phase.from = result.checkpoint;
  phase.pace ??= result.pace ?? null;
}

/** Whether what comes next belongs in a history of its own: a long one replays slowly. */
function historyIsFull({ scored, working, plan: { replicas } }: PhaseProgress, shards: number): boolean {
  if (replicas && shards * mostOf(replicas) >= slotsOfOneHistory) return true;
  const scores = shards > 0 && scored > 0 && working === 'scoring';
  return scores || shards >= shardsOfOneHistory || workflowInfo().continueAsNewSuggested;
}
