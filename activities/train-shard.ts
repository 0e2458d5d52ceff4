import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CancelledFailure } from '@temporalio/common';
import { toRef } from '../src/checkpoint/documents.ts';
import { repairHint } from '../src/checkpoint/hint.ts';
import { keepMetrics } from '../src/checkpoint/metrics-document.ts';
import type { Commit } from '../src/checkpoint/types.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import { wholeBytes } from '../src/train/checkpoint-bytes.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { fetchDocument, readDocumentAs } from './documents.ts';
import { holdWhatIsDue } from './evaluation-due.ts';
import { beat } from './heartbeat.ts';
import { endOf, recordedPace } from './pace.ts';
import { heartbeatOf, liveOf, newShard, type Shard } from './shard.ts';
import { newestStart } from './shard-start.ts';
import { toldBy } from './told-by.ts';
import { trainFrom } from './train-from.ts';
import type { ShardHeartbeat, ShardInput, ShardResult } from './types/shard.ts';

/** Crashes without a commit in between: more of them are no accident. */
const crashesInARow = 3;

/**
 * Trains to `toStep` and commits on the way. Goes on from the newest commit, whoever made it, so it may be called
 * again after any failure. When cancelled it ends early, with a checkpoint, and its result says at which step.
 */
export async function trainShard(deps: Dependencies, input: ShardInput, attempt: Attempt): Promise<ShardResult> {
  const { plan, toStep } = input;
  deps.firstStep?.taken();
  const shard = newShard(deps, input, attempt, {
    from: plan.from.step,
    end: toStep,
    doing: 'looking for the newest commit',
  });
  const heart = beat(attempt, () => heartbeatOf(shard));
  try {
    const documents = join(deps.scratch, 'documents');
    const settings = await readDocumentAs<PhaseSettings>(deps.store, plan.settings, documents);
    const indexFile = await fetchDocument(deps.store, plan.index, documents);
    shard.pace = input.pace ?? (await recordedPace(deps.store, plan));
    shard.end = endOf(input, input.from?.step ?? plan.from.step, shard.pace);
    attempt.count?.(plan, 'retries', attempt.number > 1 ? 1 : 0);
    // How far whoever was here before had come.
    let reached = stepOf(attempt.earlier);
    for (let crashes = 0; ; ) {
      const start = await newestStart(deps.store, input);
      shard.newest = start;
      attempt.count?.(plan, 'lost_steps', Math.max(0, reached - (start?.step ?? plan.from.step)));
      // Whoever committed it may have died before the figures beside it were written.
      if (start && start.phase === plan.phase && start.run === plan.run) await metricsOf(deps, start);
      if (start) shard.live = liveFrom(start, shard);
      attempt.use?.begins(start?.step ?? plan.from.step, wholeBytes(settings));
      if (start && attempt.paused?.() && start.step < shard.end)
        throw new CancelledFailure(`paused with the checkpoint of step ${start.step}`);
      if (start && (start.step >= shard.end || attempt.signal.aborted)) return await finished(shard, start);
      if (attempt.signal.aborted) throw new CancelledFailure('stopped before the first checkpoint');
      try {
        await trainFrom(shard, start, settings, indexFile);
      } catch (error) {
        if (isRunnerError(error, 'NonFinite')) attempt.count?.(plan, 'divergences', 1);
        if (!isRunnerError(error, 'TrainerCrashed') && !isRunnerError(error, 'TrainerStuck')) throw error;
        attempt.count?.(plan, 'trainer_crashes', 1);
        reached = shard.live.step;
        crashes = shard.newest?.step === start?.step ? crashes + 1 : 1;
        deps.log.warn({ run: plan.run, phase: plan.phase, crashes }, error.message);
        shard.doing = error.message;
        if (crashes >= crashesInARow) throw noAccident(error, shard.live.step, plan);
      }
    }
  } finally {
    heart.stop();
    await rm(shard.folder, { recursive: true, force: true }).catch(() => {});
  }
}

/** Figures of a commit of the phase itself: those of the phase before it say nothing of this one. */
function liveFrom({ run, phase, step, metrics }: Commit, { live, input: { plan } }: Shard): Shard['live'] {
  return run === plan.run && phase === plan.phase ? liveOf(step, metrics) : { ...live, step };
}

/** The step in the details of a heartbeat; 0 where they name none. */
function stepOf(details: unknown): number {
  const step = (details as Partial<ShardHeartbeat> | null | undefined)?.step;
  return Number.isFinite(step) ? step! : 0;
}

/** For people too: no run fails for it. */
const metricsOf = ({ store, log }: Dependencies, commit: Commit) =>
  keepMetrics(store, commit).catch((error) =>
    log.warn({ run: commit.run }, `metrics.json was not written: ${error.message}`),
  );

async function finished({ deps, input, pace, cpu }: Shard, commit: Commit): Promise<ShardResult> {
  // A worker may have died between a commit and its hint. The hint is for people: no run fails for it.
  await repairHint(deps.store, input.plan).catch((error) => deps.log.warn({ run: commit.run }, String(error)));
  await holdWhatIsDue(deps.store, input, toRef(commit));
  await metricsOf(deps, commit);
  const { committed, attempt } = commit;
  // What else there is of figures lies in the bucket: a history is no place for them.
  const { figures: _, since: __, ...metrics } = commit.metrics;
  return {
    checkpoint: toRef(commit),
    metrics,
    committed,
    attempt,
    ...(pace && { pace }),
    ...(await toldBy(deps, input.plan, commit)),
    ...(cpu?.remark && { remark: cpu.remark }),
  };
}

function noAccident(error: RunnerError, step: number, { run, phase }: ShardInput['plan']): RunnerError {
  return new RunnerError(
    error.code,
    `${crashesInARow} times in a row without a checkpoint in between, at step ${step}: ${error.message}; npm run siglip2 -- logs ${run} ${phase} shows what was said before; start the run again under the same --workflow-id when the cause is gone`,
    { details: { final: true, step }, cause: error },
  );
}
