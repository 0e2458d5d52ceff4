import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CancelledFailure } from '@temporalio/common';
import { commitCheckpoint } from '../src/checkpoint/commit.ts';
import { readCommit } from '../src/checkpoint/commits.ts';
import { toRef } from '../src/checkpoint/documents.ts';
import { checkpointSidecars } from '../src/checkpoint/hugging-face/config.ts';
import { restoreCheckpoint } from '../src/checkpoint/restore.ts';
import type { Commit } from '../src/checkpoint/types.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import type { Snapshot } from '../src/trainer/protocol.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { fetchDocument, readDocumentAs } from './documents.ts';
import { beat } from './heartbeat.ts';
import { resultOfRound } from './round-result.ts';
import { settleCpu } from './settle-cpu.ts';
import { computedWith, type Shard } from './shard.ts';
import { inputHash, newestStart } from './shard-start.ts';
import { dataOf, requireTrainer, settle, withOnlineTeacher } from './train-from.ts';
import { trainedSettings } from './train-lane.ts';
import { heartbeatOf, liveOf } from './train-shard.ts';
import type { BeginRoundsInput, BegunRounds } from './types/rounds.ts';

/**
 * The checkpoint that the next round begins with: the newest of the phase, or the state that the phase begins with, which
 * is committed as a checkpoint of its own first. So every round begins with a checkpoint of the phase and with nothing
 * else. What the recipe leaves to measurement is measured here, before any replica makes a step.
 */
export async function beginRounds(deps: Dependencies, input: BeginRoundsInput, attempt: Attempt): Promise<BegunRounds> {
  const { plan } = input;
  const shard: Shard = {
    deps,
    input: { ...input, toStep: plan.to.step },
    attempt,
    folder: join(deps.scratch, plan.run, plan.phase, attempt.id),
    newest: null,
    pace: null,
    end: plan.to.step,
    live: liveOf(plan.from.step, { loss: 0, examplesPerSecond: 0, dataWaitShare: 0 }),
    doing: 'looking for the newest commit',
    cpu: null,
    settings: null,
    firstStep: null,
  };
  const heart = beat(attempt, () => heartbeatOf(shard));
  try {
    const start = await newestStart(deps.store, shard.input);
    const own = start?.run === plan.run && start.phase === plan.phase ? start : null;
    if (own && own.step > plan.from.step) return { checkpoint: toRef(own), last: await resultOfRound(deps, plan, own) };
    if (own) return { checkpoint: toRef(own), last: null };
    return { checkpoint: toRef(await commitBeginning(shard, start)), last: null };
  } finally {
    heart.stop();
    await rm(shard.folder, { recursive: true, force: true }).catch(() => {});
  }
}

/** Has the trainer make the state that the phase begins with, and commits it. The same for whoever makes it. */
async function commitBeginning(shard: Shard, parent: Commit | null): Promise<Commit> {
  const { deps, input, attempt } = shard;
  const { plan } = input;
  const trainer = requireTrainer(deps);
  const documents = join(deps.scratch, 'documents');
  const planned = trainedSettings(await readDocumentAs<PhaseSettings>(deps.store, plan.settings, documents));
  const data = await dataOf(shard, planned, await fetchDocument(deps.store, plan.index, documents));
  shard.cpu = await settleCpu(deps.store, plan, trainer);
  const threads = shard.cpu?.threads;
  const settled = await withOnlineTeacher(shard, planned, (teacher) =>
    settle(shard, trainer, null, planned, { ...data, ...teacher, ...(threads && { threads }) }),
  );
  if (settled === null) throw new CancelledFailure('stopped before the first round');
  const { settings } = settled;
  shard.settings = settings;
  const folder = join(shard.folder, 'parent');
  shard.doing = 'fetching what the phase goes on from';
  if (parent)
    await restoreCheckpoint(deps.store, parent, folder, {
      files: ({ path }) => path.endsWith('.safetensors') || path === 'config.json',
      signal: attempt.signal,
    });
  shard.doing = 'making what the first round begins with';
  const { step, examples } = plan.from;
  const made: Snapshot[] = [];
  await withOnlineTeacher(shard, settings, (teacher) =>
    trainer.run(
      {
        kind: 'begin',
        settings,
        ...teacher,
        ...(threads && { threads }),
        from: parent && { folder, sha256: parent.sha256, step, examples, within: false },
        at: { step, examples },
        snapshotFolder: join(shard.folder, 'beginning'),
      },
      { snapshot: (snapshot) => void made.push(snapshot) },
      attempt.signal,
    ),
  );
  const [snapshot] = made;
  if (!snapshot) throw new RunnerError('TrainerCrashed', 'the trainer made no state to begin with');
  shard.doing = 'committing what the first round begins with';
  const { cpu } = shard;
  const { resize } = settings.batches.data;
  const { commit } = await commitCheckpoint(
    deps.store,
    {
      ...{ run: plan.run, phase: plan.phase, revision: input.revision, step, examples },
      ...{ folder: snapshot.folder, state: snapshot.state, metrics: parent?.metrics ?? snapshot.metrics },
      ...{ recipeHash: plan.recipeHash, dataFingerprint: plan.dataFingerprint, settingsSha256: plan.settings.sha256 },
      parent: parent && toRef(parent),
      codeVersion: deps.codeVersion,
      skipped: [],
      ...(cpu && { cpu: { threads: cpu.threads, kind: cpu.kind } }),
      ...computedWith(settings),
      ...(resize && { resize }),
      attempt: attempt.id,
      sidecars: checkpointSidecars(settings.model),
      inputHash: inputHash(input, step),
    },
    { signal: attempt.signal, ...(deps.onPoint && { onPoint: deps.onPoint }) },
  );
  return readCommit(deps.store, commit);
}
