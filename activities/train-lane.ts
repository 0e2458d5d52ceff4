import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CancelledFailure } from '@temporalio/common';
import { readCommit } from '../src/checkpoint/commits.ts';
import { checkpointSha256 } from '../src/checkpoint/identity.ts';
import type { Lane } from '../src/recipe/lanes.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { trainedSettings } from '../src/recipe/trained-settings.ts';
import { chunkBytes, type RoundState, writeTensors } from '../src/rounds/state.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import { SafetensorsFile } from '../src/safetensors/safetensors.ts';
import { MetricSeries } from '../src/telemetry/series.ts';
import type { Snapshot, TrainerJob, TrainJob } from '../src/trainer/protocol.ts';
import { inSeconds } from '../src/worker-life/first-step.ts';
import { sayFirstStep } from './first-step.ts';
import { replicaFiles } from './replica-files.ts';
import { replicasOf } from './replicas-of.ts';
import { fetchHandedIn, memberOf } from './round-documents.ts';
import { fetchRoundState } from './round-state.ts';
import { dataOf, settle, withOnlineTeacher } from './settle.ts';
import { settleCpu } from './settle-cpu.ts';
import type { Shard } from './shard.ts';
import { requireTrainer, stepMs } from './train-from.ts';
import type { MemberRef, ReplicaInput } from './types/rounds.ts';

export interface TrainedLane {
  /** What the round began with; to be closed. */
  readonly before: RoundState;
  /** What the lane ended with. */
  readonly snapshot: Snapshot;
}

/** What a lane has come to, for those who look at its round. */
export interface LaneProgress {
  steps: number;
  /** Bytes that were fetched to begin with, and that were handed in. */
  down: number;
  up: number;
}

/** Trains a lane to its end. What the trainer holds of the state is not loaded again; its files are fetched all the same. */
export async function trainLane(
  shard: Shard,
  replica: ReplicaInput,
  lane: Lane,
  planned: PhaseSettings,
  indexFile: string,
  made: LaneProgress,
): Promise<TrainedLane> {
  const { deps, input, attempt } = shard;
  const { plan } = input;
  const { round, slot } = replica;
  const began = performance.now();
  const trainer = requireTrainer(deps);
  const trained = trainedSettings(planned);
  const data = await dataOf(shard, trained, indexFile);
  const { step, examples, sha256 } = round.from;
  shard.doing = `fetching the checkpoint of step ${step}`;
  const fetching = fetchRoundState(deps, round.from, attempt.signal, {
    settings: planned,
    onBytes: (bytes) => (made.down += bytes),
  });
  // Met when it is waited for; until then it is not unhandled.
  fetching.catch(() => {});
  let ready = began;
  // What the phase begins with was made by no step of it: nothing was settled before.
  const reading = step > plan.from.step ? readCommit(deps.store, round.from) : null;
  const settling = async () => {
    const [cpu, begun] = await Promise.all([settleCpu(deps.store, plan, trainer, deps.cpu), reading]);
    shard.cpu = cpu;
    deps.firstStep?.ready();
    ready = performance.now();
    const settled = await settle(shard, trainer, begun, trained, data);
    if (settled === null) throw new CancelledFailure('stopped before its first step');
    return settled;
  };
  const settled = await settling().catch(async (error) => {
    // Of what was fetched for nothing no file stays open.
    await fetching.then(
      ({ state }) => state.close(),
      () => {},
    );
    throw error;
  });
  const threads = shard.cpu?.threads;
  const { settings } = settled;
  const begins = plan.begins ?? plan.from;
  if (!settings.curation && !trainer.holds(sha256, settings, threads)) {
    const prepared = { indexFile, skip: data.skip, begins, lane, from: { step, examples } };
    // What hinders that hinders training too, and is told there.
    trainer.run({ kind: 'prepare', settings, ...prepared, ...(threads && { threads }) }).catch(() => {});
  }
  // What was measured meanwhile said so.
  shard.doing = `fetching the checkpoint of step ${step}`;
  const { folder, manifest, state } = await fetching;
  const own = replica.moments ? await withOwnMoments(shard, replica, replica.moments, state, made) : { folder, sha256 };
  const series = new MetricSeries();
  const snapshots: Snapshot[] = [];
  shard.doing = 'starting';
  attempt.use?.begins(step, 0);
  const job: TrainerJob & TrainJob = {
    kind: 'train',
    ...settled,
    ...data,
    lane,
    withoutMoments: replicasOf(planned).moments === 'reset',
    skipped: manifest.skipped,
    ...(manifest.filtered !== undefined && { filtered: manifest.filtered }),
    ...(threads && { threads }),
    from: { ...own, step, examples, within: step > plan.from.step, since: manifest.metrics.since },
    begins,
    ...(plan.information && { information: plan.information }),
    toStep: step + lane.steps,
    // At its end alone: what a replica has not handed in is nobody's.
    checkpointEvery: step + lane.steps,
    snapshotFolder: join(shard.folder, 'snapshots'),
  };
  try {
    await withOnlineTeacher(shard, settings, (teacher) => {
      deps.firstStep?.sent();
      const sent = performance.now();
      return trainer.run(
        { ...job, ...teacher },
        {
          begun(start) {
            sayFirstStep(shard, start);
            const own = { trainer: ready - began, fetch: sent - ready, state: start.state };
            const seconds = inSeconds({ ...own, total: performance.now() - began });
            deps.log.info({ run: plan.run, phase: plan.phase, step: round.to, slot, seconds }, 'first step of a lane');
          },
          progress({ examples: _, records, ...live }) {
            shard.live = live;
            shard.doing = null;
            made.steps = Math.ceil(((live.step - lane.from) * lane.steps) / (lane.to - lane.from));
            series.add(records);
            const { objectives, figures, ...rest } = live;
            const ofRound = { 'round/slot': slot, 'round/done': made.steps, 'round/downBytes': made.down };
            attempt.use?.stepped(live.step, stepMs(settings, live));
            attempt.gauge?.(plan, { ...rest, ...objectives, ...figures, ...ofRound });
          },
          note(text) {
            shard.doing = text;
          },
          snapshot(snapshot) {
            attempt.use?.snapshot(shard.live.step);
            attempt.use?.at('committing');
            snapshots.push(snapshot);
          },
        },
        attempt.signal,
      );
    });
    const snapshot = snapshots.at(-1);
    if (attempt.signal.aborted) throw new CancelledFailure('stopped before it had handed in');
    if (!snapshot) throw new RunnerError('TrainerCrashed', 'the trainer ended a lane without what it came to');
    // Curves are those of one slot: their places in the round are the same.
    if (slot === 0) await keepCurve(shard, series, lane.to);
    for (const old of snapshots.slice(0, -1)) await rm(old.folder, { recursive: true, force: true });
    return { before: state, snapshot };
  } catch (error) {
    await state.close();
    throw error;
  }
}

/** The state of a round with the moments that a slot ended its last round with, where each keeps its own. */
async function withOwnMoments(
  { deps, folder }: Shard,
  input: ReplicaInput,
  moments: MemberRef,
  state: RoundState,
  made: LaneProgress,
): Promise<{ folder: string; sha256: string }> {
  const target = join(folder, 'own');
  await mkdir(target, { recursive: true });
  const document = await memberOf(deps.store, input, moments);
  const path = await fetchHandedIn(deps.store, input, moments, document, replicaFiles.moments, folder);
  made.down += document.files.find((one) => one.path === replicaFiles.moments)!.bytes;
  const file = await SafetensorsFile.open(path);
  try {
    const layout = [...state.tensors.values()];
    const written = await writeTensors(target, layout, ({ name }) =>
      file.tensors.has(name) ? () => file.chunks(name, chunkBytes) : () => state.chunks(name),
    );
    return { folder: target, sha256: checkpointSha256(written) };
  } finally {
    await file.close();
  }
}

async function keepCurve({ deps, input }: Shard, series: MetricSeries, step: number): Promise<void> {
  const { run, phase } = input.plan;
  await series.keep(deps.store, { run, phase, revision: input.revision, step }).catch((error) => {
    if (isRunnerError(error, 'StorageUnavailable')) throw error;
    deps.log.info({ run, phase }, `figures were not written: ${error.message}`);
  });
}
