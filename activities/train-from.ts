import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { commitCheckpoint } from '../src/checkpoint/commit.ts';
import { toRef } from '../src/checkpoint/documents.ts';
import { checkpointSidecars } from '../src/checkpoint/hugging-face/config.ts';
import { readManifest } from '../src/checkpoint/manifest.ts';
import { keepMetrics } from '../src/checkpoint/metrics-document.ts';
import { restoreCheckpoint } from '../src/checkpoint/restore.ts';
import type { Commit, Manifest } from '../src/checkpoint/types.ts';
import { SkippedMembers } from '../src/data/index/skipped-members.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { counted } from '../src/runtime/count-text.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import { keepReports } from '../src/telemetry/reports.ts';
import { MetricSeries } from '../src/telemetry/series.ts';
import type { TrainerProcess } from '../src/trainer/process.ts';
import type { Snapshot, TrainedState, TrainerJob, TrainJob } from '../src/trainer/protocol.ts';
import { commitInBackground } from './background-commits.ts';
import type { Dependencies } from './dependencies.ts';
import { sayFirstStep } from './first-step.ts';
import { recordPace } from './pace.ts';
import { dataOf, settle, withOnlineTeacher } from './settle.ts';
import { settleCpu } from './settle-cpu.ts';
import { computedWith, type Shard } from './shard.ts';
import { inputHash } from './shard-start.ts';
import { shownOf } from './shown.ts';
import { skippedLog } from './skipped.ts';
import type { PhasePlan } from './types/plan.ts';

/** After a wish to stop, how long a store that is away is waited for. */
const giveUpAfterMs = 10 * 60_000;

/**
 * Trains from a commit, or from nothing, until `toStep` or the wish to stop, and returns when the last snapshot is
 * committed. Sets `shard.newest` with each commit.
 */
export async function trainFrom(
  shard: Shard,
  start: Commit | null,
  planned: PhaseSettings,
  indexFile: string,
): Promise<void> {
  const { deps, input, attempt } = shard;
  const trainer = requireTrainer(deps);
  const log = (message: string) => deps.log.info({ run: input.plan.run, phase: input.plan.phase }, message);
  const data = await dataOf(shard, planned, indexFile);
  shard.cpu = await settleCpu(deps.store, input.plan, trainer, deps.cpu);
  deps.firstStep?.ready();
  const threads = shard.cpu?.threads;
  if (shard.cpu?.remark) log(shard.cpu.remark);
  const settled = await settle(shard, trainer, start, planned, data);
  if (settled === null) return;
  const { settings } = settled;
  const state = start && (await ensureState(shard, trainer, start, settings, data));
  const stop = new AbortController();
  const giveUp = new AbortController();
  const stopped = () => {
    stop.abort();
    setTimeout(() => giveUp.abort(), giveUpAfterMs).unref();
  };
  attempt.signal.addEventListener('abort', stopped);
  if (attempt.signal.aborted) stopped();
  // What a phase skips is its own; its parent's manifest names what the parent skipped.
  const known = new SkippedMembers(state && start?.phase === input.plan.phase ? state.manifest.skipped : []);
  const skipped = known.list;
  const filtered = state && start?.phase === input.plan.phase ? state.manifest.filtered : undefined;
  let diverged = false;
  const tellSkipped = skippedLog(deps.log, { run: input.plan.run, phase: input.plan.phase });
  const series = new MetricSeries();
  const keepFigures = async (step: number) => {
    const { run, phase } = input.plan;
    await series.keep(deps.store, { run, phase, revision: input.revision, step }).catch((error) => {
      // The commit would wait for the store too. For anything else no run fails: figures are for people.
      if (isRunnerError(error, 'StorageUnavailable')) throw error;
      log(`figures were not written: ${error.message}`);
    });
  };
  const commits = commitInBackground({
    async commit(snapshot) {
      if (diverged) return;
      // Before the commit: a kill between the two would leave a hole that no attempt fills.
      await keepFigures(snapshot.step);
      const began = performance.now();
      const commit = await commitSnapshot(shard, snapshot, settings);
      shard.newest = commit;
      const seconds = (performance.now() - began) / 1000;
      trainer.committed(seconds);
      attempt.count?.(input.plan, 'commits', 1);
      attempt.count?.(input.plan, 'commit_seconds', seconds);
      if (commit.sha256 === snapshot.sha256) attempt.use?.committed(commit.step);
      log(`committed step ${commit.step}`);
      await keepReports(deps.store, commit, snapshot).catch((error) => log(`no report was written: ${error.message}`));
      await keepMetrics(deps.store, commit).catch((error) => log(`metrics.json was not written: ${error.message}`));
      tellSkipped(known.add(snapshot.skipped));
      // On a GPU another attempt's bits may differ: what was committed first counts, and training goes on from it.
      diverged = commit.sha256 !== snapshot.sha256;
      if (diverged) stop.abort();
    },
    onTrouble(message) {
      shard.doing = `a snapshot waits for the store: ${message}`;
      attempt.count?.(input.plan, 'store_failures', 1);
      deps.log.warn({ run: input.plan.run, phase: input.plan.phase }, message);
    },
    // Nothing that is trained from here on could be kept.
    onFailure: () => stop.abort(),
    giveUp: giveUp.signal,
    ...(deps.uploadRetryMs === undefined ? {} : { retryMs: deps.uploadRetryMs }),
  });
  shard.doing = 'starting';
  let recorded = Promise.resolve(shard.pace);
  try {
    const { plan } = input;
    const from = start && trainedState(start, state!.folder, plan);
    const snapshotFolder = join(shard.folder, 'snapshots');
    const job: TrainerJob & TrainJob = {
      kind: 'train',
      ...settled,
      ...data,
      skipped,
      ...(filtered !== undefined && { filtered }),
      ...(threads && { threads }),
      from,
      begins: plan.begins ?? plan.from,
      ...(plan.information && { information: plan.information }),
      toStep: shard.end,
      checkpointEvery: shard.pace?.checkpointEvery ?? plan.checkpointEvery,
      ...(plan.shardSteps !== 'auto' && { shardSteps: plan.shardSteps }),
      snapshotFolder,
    };
    await withOnlineTeacher(shard, settings, (teacher) => {
      deps.firstStep?.sent();
      return trainer.run(
        { ...job, ...teacher },
        {
          progress({ examples: _, records, ...live }) {
            shard.live = live;
            shard.doing = null;
            attempt.use?.stepped(live.step, stepMs(settings, live));
            series.add(records);
            attempt.gauge?.(input.plan, shownOf(shard));
          },
          begun: (start) => sayFirstStep(shard, start),
          pace(pace, end) {
            const { checkpointEvery, shardSteps } = pace;
            log(
              `a checkpoint every ${counted(checkpointEvery, 'step')} from now on, and ${counted(shardSteps, 'step')} in a shard`,
            );
            shard.pace = pace;
            shard.end = end;
            // If it can't be written, it is in the shard's result all the same.
            recorded = recordPace(deps.store, plan, pace).catch(() => pace);
          },
          note(text) {
            shard.doing = text;
            attempt.use?.at('preparing');
            log(text);
          },
          snapshot(snapshot) {
            attempt.use?.snapshot(snapshot.step);
            commits.add(snapshot);
          },
        },
        stop.signal,
      );
    });
  } finally {
    attempt.signal.removeEventListener('abort', stopped);
    if (state) await rm(state.folder, { recursive: true, force: true });
    shard.doing ??= 'committing the last snapshot';
    attempt.use?.at('committing');
    shard.pace = await recorded;
    await commits.drained().catch((error) => {
      if (!giveUp.signal.aborted) throw error;
    });
  }
}

/** The records of a phase begin with it, and so does what it knows of updates. */
function trainedState(
  { sha256, step, examples, run, phase, metrics }: Commit,
  folder: string,
  plan: PhasePlan,
): TrainedState {
  const within = run === plan.run && phase === plan.phase && step > plan.from.step;
  return {
    folder,
    sha256,
    step,
    examples,
    within,
    ...(phase === plan.phase && metrics.since && { since: metrics.since }),
  };
}

/** How long a step takes at this pace; 0 before it is known. */
export const stepMs = ({ batches }: PhaseSettings, { examplesPerSecond }: { readonly examplesPerSecond: number }) =>
  examplesPerSecond > 0 ? (1000 * batches.batch) / examplesPerSecond : 0;

/** Local files of a commit, unless the trainer holds its state already; and its manifest. */
async function ensureState(
  shard: Shard,
  trainer: TrainerProcess,
  commit: Commit,
  settings: PhaseSettings,
  { indexFile, skip }: Pick<TrainJob, 'indexFile' | 'skip'>,
): Promise<{ folder: string; manifest: Manifest }> {
  const { store } = shard.deps;
  const folder = join(shard.folder, `state-${commit.step}`);
  if (trainer.holds(commit.sha256, settings, shard.cpu?.threads))
    return { folder, manifest: (await readManifest(store, commit)).manifest };
  const threads = shard.cpu?.threads;
  if (!settings.curation) {
    const { plan } = shard.input;
    const { step, examples } = commit;
    const begins = plan.begins ?? plan.from;
    const own = { indexFile, skip, begins, from: { step, examples }, ...(threads && { threads }) };
    // What hinders that hinders training too, and is told there.
    trainer.run({ kind: 'prepare', settings, ...own }).catch(() => {});
  }
  shard.doing = `fetching the checkpoint of step ${commit.step}`;
  const { manifest } = await restoreCheckpoint(store, commit, folder, {
    files: ({ path }) => path.endsWith('.safetensors') || path === 'config.json',
    signal: shard.attempt.signal,
  });
  return { folder, manifest };
}

/** Commits what a trainer wrote; what it went on from is `newest`. Without a signal nothing ends it but its store. */
export async function commitSnapshot(
  { deps, input, attempt, newest, cpu }: Shard,
  { step, examples, state, metrics, folder, skipped, filtered }: Snapshot,
  settings: PhaseSettings,
  signal?: AbortSignal,
): Promise<Commit> {
  const { run, phase, recipeHash, dataFingerprint } = input.plan;
  const { resize } = settings.batches.data;
  const { commit } = await commitCheckpoint(
    deps.store,
    {
      ...{ run, phase, revision: input.revision, step, examples },
      ...{ folder, state, metrics, recipeHash, dataFingerprint },
      settingsSha256: input.plan.settings.sha256,
      parent: newest && toRef(newest),
      codeVersion: deps.codeVersion,
      skipped,
      ...(filtered !== undefined && { filtered }),
      ...(cpu && { cpu: { threads: cpu.threads, kind: cpu.kind } }),
      ...computedWith(settings),
      ...(resize && { resize }),
      attempt: attempt.id,
      sidecars: checkpointSidecars(settings.model),
      inputHash: inputHash(input, step),
    },
    { ...(signal && { signal }), ...(deps.onPoint && { onPoint: deps.onPoint }) },
  );
  return commit;
}

export function requireTrainer({ trainer }: Dependencies): TrainerProcess {
  if (trainer) return trainer;
  throw new RunnerError('DeviceMissing', 'this worker has no device; start one with --queues siglip2-gpu');
}
