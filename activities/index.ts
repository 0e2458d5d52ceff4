import { randomBytes } from 'node:crypto';
import { Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import type { LeaseEnd } from '../src/trainer/pool.ts';
import { annotateShard } from './annotate-shard.ts';
import { beginPhase } from './begin-phase.ts';
import { beginRounds } from './begin-rounds.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { onDevice } from './device-time.ts';
import { drawSheet } from './draw-sheet.ts';
import { embedShard } from './embed-shard.ts';
import { evaluate } from './evaluate.ts';
import { keepBest } from './evaluation-best.ts';
import { concludeEvaluation, leaveEvaluation } from './evaluation-conclude.ts';
import { embedPart } from './evaluation-embed.ts';
import { evaluatePart } from './evaluation-figure.ts';
import { guardFigure } from './evaluation-guard.ts';
import { planEvaluation } from './evaluation-plan.ts';
import { bestWatched, watchFigure } from './evaluation-watch.ts';
import { exportModel } from './export-model.ts';
import { toFailure, workerEnded } from './failures.ts';
import { filterStep } from './filter-step.ts';
import { findShards, indexShards } from './index-shards.ts';
import { interruption } from './interruption.ts';
import { type DeviceLease, type Leasing, leaseDevice, nothingLeased } from './lease-device.ts';
import { noteAttempt } from './left-attempts.ts';
import { mergeRound } from './merge-round.ts';
import { beginPack } from './pack-begin.ts';
import { hashPart } from './pack-hash.ts';
import { listPack } from './pack-list.ts';
import { mergePart } from './pack-merge.ts';
import { packPart } from './pack-part.ts';
import { reportPack } from './pack-report.ts';
import { settlePack } from './pack-settle.ts';
import { plan } from './plan.ts';
import { planAnnotation } from './plan-annotation.ts';
import { planEmbeddings } from './plan-embeddings.ts';
import { planFilter } from './plan-filter.ts';
import { planPhase } from './plan-phase.ts';
import { pruneCheckpoints, sweep } from './prune-checkpoints.ts';
import { recoverCheckpoint } from './recover-checkpoint.ts';
import { replan } from './replan.ts';
import { reportFilter } from './report-filter.ts';
import { loggedAttempt } from './run-log.ts';
import { scoreShard } from './score-shard.ts';
import { sealEmbeddings } from './seal-embeddings.ts';
import { sealScores } from './seal-scores.ts';
import { signed } from './signed.ts';
import { trainReplica } from './train-replica.ts';
import { trainShard } from './train-shard.ts';
import type { Activities } from './types/activities.ts';
import type { PhasePlan } from './types/plan.ts';
import { writeReport } from './write-report.ts';

type Verb<I, O> = (deps: Dependencies, input: I, attempt: Attempt) => Promise<O>;

/** The activities as Temporal calls them, over what they touch the world through. */
export function createActivities(deps: Dependencies): Activities {
  return {
    findShards: activity(deps, findShards),
    indexShards: activity(deps, indexShards),
    plan: activity(deps, plan),
    planPhase: activity(deps, planPhase),
    beginPhase: activity(deps, beginPhase),
    trainShard: activity(deps, onDevice(signed(trainShard), 'preparing'), leaseDevice),
    beginRounds: activity(deps, onDevice(signed(beginRounds), 'preparing'), leaseDevice),
    trainReplica: activity(deps, onDevice(signed(trainReplica), 'preparing'), leaseDevice),
    mergeRound: activity(deps, signed(mergeRound)),
    recoverCheckpoint: activity(deps, recoverCheckpoint),
    pruneCheckpoints: activity(deps, pruneCheckpoints),
    sweep: activity(deps, sweep),
    replan: activity(deps, replan),
    evaluate: activity(deps, onDevice(signed(evaluate), 'evaluating'), leaseDevice),
    planEvaluation: activity(deps, planEvaluation),
    embedPart: activity(deps, onDevice(embedPart, 'evaluating'), leaseDevice),
    evaluatePart: activity(deps, onDevice(evaluatePart, 'evaluating'), leaseDevice),
    drawSheet: activity(deps, onDevice(drawSheet, 'evaluating'), leaseDevice),
    keepBest: activity(deps, keepBest),
    concludeEvaluation: activity(deps, concludeEvaluation),
    leaveEvaluation: activity(deps, leaveEvaluation),
    watchFigure: activity(deps, watchFigure),
    guardFigure: activity(deps, guardFigure),
    bestWatched: activity(deps, bestWatched),
    exportModel: activity(deps, signed(exportModel)),
    writeReport: activity(deps, writeReport),
    scoreShard: activity(deps, onDevice(signed(scoreShard), 'scoring'), leaseDevice),
    sealScores: activity(deps, sealScores),
    planAnnotation: activity(deps, planAnnotation),
    annotateShard: activity(deps, annotateShard),
    beginPack: activity(deps, beginPack),
    listPack: activity(deps, listPack),
    hashPart: activity(deps, hashPart),
    mergePart: activity(deps, mergePart),
    settlePack: activity(deps, settlePack),
    packPart: activity(deps, packPart),
    reportPack: activity(deps, reportPack),
    planFilter: activity(deps, planFilter),
    filterStep: activity(deps, filterStep),
    embedShard: activity(deps, embedShard, leaseDevice),
    planEmbeddings: activity(deps, planEmbeddings),
    sealEmbeddings: activity(deps, sealEmbeddings),
    reportFilter: activity(deps, reportFilter),
  };
}

function activity<I, O>(deps: Dependencies, verb: Verb<I, O>, leasing?: Leasing): (input: I) => Promise<O> {
  return async (input) => {
    const context = Context.current();
    const { activityId, activityType, attempt: number, taskQueue, taskToken, workflowExecution } = context.info;
    let shown: Pick<PhasePlan, 'run' | 'phase'> | null = null;
    const interrupted = interruption(context.cancellationSignal, deps.life?.interrupt);
    const over = deps.life?.began();
    let end: LeaseEnd = 'stopped';
    let lease: DeviceLease = nothingLeased(deps);
    const named = <T extends object | undefined>(of: T): T =>
      lease.deps.device === undefined ? of : { ...of, device: lease.deps.device };
    const attempt: Attempt = {
      // Random, since a run of the same name may have had the same activity before.
      id: `${activityId}-${number}-${randomBytes(4).toString('hex')}`.replaceAll(/[^A-Za-z0-9._-]/g, '-'),
      number,
      earlier: context.info.heartbeatDetails,
      signal: interrupted.signal,
      heartbeat: (details) => context.heartbeat(named(details as object | undefined)),
      gauge: (of, figures) => {
        shown = named(of);
        deps.gauges?.set(shown, figures);
      },
      count: (of, counter, by) => {
        shown = named(of);
        deps.gauges?.count(shown, counter, by);
      },
      paused: () => context.cancellationDetails?.paused === true,
    };
    const token = Buffer.from(taskToken).toString('base64');
    const ended = noteAttempt(deps.scratch, attempt.id, { activity: activityType, taskQueue, token });
    let logged: ReturnType<typeof loggedAttempt> | null = null;
    try {
      if (leasing) lease = await leasing(deps, input, workflowExecution?.workflowId ?? '', attempt);
      logged = loggedAttempt(lease.deps, input, context.info, attempt);
      const result = await verb(logged.deps, input, attempt);
      end = 'done';
      return result;
    } catch (error) {
      const fields = { workflow: workflowExecution?.workflowId, activity: verb.name, attempt: number, err: error };
      (logged ?? lease).deps.log.warn(fields, 'activity failed');
      const failure = toFailure(error, number, lease.isOneOfSeveral);
      if (!(failure instanceof CancelledFailure)) end = 'failed';
      // Temporal did not ask for it: an attempt that is cancelled then would not be made again.
      throw failure instanceof CancelledFailure && interrupted.byWorker() ? workerEnded(failure) : failure;
    } finally {
      interrupted.forget();
      // Who waited for a device had begun nothing.
      over?.(end === 'done' || logged === null);
      logged?.ended();
      lease.release(end);
      ended();
      if (shown) deps.gauges?.ended(shown);
    }
  };
}
