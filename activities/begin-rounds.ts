import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CancelledFailure } from '@temporalio/common';
import { readCommit } from '../src/checkpoint/commits.ts';
import { toRef } from '../src/checkpoint/documents.ts';
import { restoreCheckpoint } from '../src/checkpoint/restore.ts';
import type { Commit } from '../src/checkpoint/types.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { trainedSettings } from '../src/recipe/trained-settings.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import type { Snapshot } from '../src/trainer/protocol.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { fetchDocument, readDocumentAs } from './documents.ts';
import { beat } from './heartbeat.ts';
import { replicasOf } from './replicas-of.ts';
import { pacesAfter, resultOfRound } from './round-result.ts';
import { dataOf, settle, withOnlineTeacher } from './settle.ts';
import { settleCpu } from './settle-cpu.ts';
import { heartbeatOf, newShard, type Shard } from './shard.ts';
import { newestStart } from './shard-start.ts';
import { commitSnapshot, requireTrainer } from './train-from.ts';
import type { BeginRoundsInput, BegunRounds } from './types/rounds.ts';

/**
 * The checkpoint that the next round begins with: the newest of the phase, or the state that the phase begins with, which
 * is committed as a checkpoint of its own first. So every round begins with a checkpoint of the phase and with nothing
 * else. What the recipe leaves to measurement is measured here, before any replica makes a step.
 */
export async function beginRounds(deps: Dependencies, input: BeginRoundsInput, attempt: Attempt): Promise<BegunRounds> {
  const { plan } = input;
  const whole = { ...input, toStep: plan.to.step };
  const [from, end] = [plan.from.step, plan.to.step];
  const shard = newShard(deps, whole, attempt, { from, end, doing: 'looking for the newest commit' });
  const heart = beat(attempt, () => heartbeatOf(shard));
  try {
    const start = await newestStart(deps.store, shard.input);
    const own = start?.run === plan.run && start.phase === plan.phase ? start : null;
    if (own && own.step > plan.from.step) {
      const last = await resultOfRound(deps, plan, own);
      return { checkpoint: toRef(own), last, ...(await pacesAfter(deps, plan, own)) };
    }
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
  const written = await readDocumentAs<PhaseSettings>(deps.store, plan.settings, documents);
  const planned = trainedSettings(written);
  const data = await dataOf(shard, planned, await fetchDocument(deps.store, plan.index, documents));
  shard.cpu = await settleCpu(deps.store, plan, trainer, deps.cpu);
  const threads = shard.cpu?.threads;
  const settled = await settle(shard, trainer, null, planned, data);
  if (settled === null) throw new CancelledFailure('stopped before the first round');
  const { settings } = settled;
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
        withoutMoments: replicasOf(written).moments === 'reset',
      },
      { snapshot: (snapshot) => void made.push(snapshot) },
      attempt.signal,
    ),
  );
  const [snapshot] = made;
  if (!snapshot) throw new RunnerError('TrainerCrashed', 'the trainer made no state to begin with');
  shard.doing = 'committing what the first round begins with';
  // It is the parent's, figures too, and no example of this phase was looked at.
  const metrics = parent?.metrics ?? snapshot.metrics;
  const { filtered: _, ...begun } = { ...snapshot, step, examples, metrics, skipped: [] };
  return readCommit(deps.store, await commitSnapshot({ ...shard, newest: parent }, begun, settings, attempt.signal));
}
