import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { commitKey } from '../src/checkpoint/keys.ts';
import { SkippedMembers } from '../src/data/index/skipped-members.ts';
import { type Lane, lanesOf } from '../src/recipe/lanes.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { PhaseSteps } from '../src/recipe/steps.ts';
import { RoundState } from '../src/rounds/state.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import { exchangedOf } from '../src/train/exchanged.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { fetchDocument, readDocumentAs } from './documents.ts';
import { beat } from './heartbeat.ts';
import { writeReplica } from './replica-files.ts';
import { replicasOf } from './replicas-of.ts';
import { type FoundSlot, filesPrefix, findSlot, handIn, ofLane } from './round-documents.ts';
import { computedWith, heartbeatOf, newShard, type Shard } from './shard.ts';
import { type LaneProgress, type TrainedLane, trainLane } from './train-lane.ts';
import type { ReplicaHeartbeat, ReplicaInput, ReplicaResult } from './types/rounds.ts';

/**
 * Trains the lane of a slot, from the checkpoint that its round begins with and from nothing else, and hands in what
 * changed. Of two attempts at a slot the one that hands in first counts. Killed at any point it is made again, by any
 * worker; after it has handed in, it answers at once. When cancelled it hands in nothing.
 */
export async function trainReplica(deps: Dependencies, input: ReplicaInput, attempt: Attempt): Promise<ReplicaResult> {
  const { plan, round, slot } = input;
  const span = { from: round.from.step, to: round.to };
  const lane = input.lane ? { slot, ...input.lane, ...span } : lanesOf({ ...span, slots: round.slots })[slot];
  if (!lane) throw new RunnerError('RecipeInvalid', `a round of ${round.slots} slots has no slot ${slot}`);
  deps.firstStep?.taken();
  const { revision, parent, skip } = input;
  const whole = { plan, revision, parent, skip, from: round.from, toStep: round.to };
  const shard = newShard(deps, whole, attempt, {
    from: round.from.step,
    end: round.from.step + lane.steps,
    doing: 'looking for what was handed in',
  });
  const made: LaneProgress = { steps: 0, down: 0, up: 0 };
  const heart = beat(attempt, (): ReplicaHeartbeat => {
    const { steps: done, up, down } = made;
    return { ...heartbeatOf(shard), slot, done, of: lane.steps, to: round.to, up, down };
  });
  try {
    // On a far link each question is a wait: what doesn't hang on another's answer is asked at once.
    const [found, ended] = await Promise.all([findSlot(deps.store, input, slot), isOver(deps, input)]);
    if (found) return resultOf(ofLane(input, found));
    if (ended) return over(slot, attempt);
    const documents = join(deps.scratch, 'documents');
    const settings = await readDocumentAs<PhaseSettings>(deps.store, plan.settings, documents);
    const indexFile = await fetchDocument(deps.store, plan.index, documents);
    const trained = await trainLane(shard, input, lane, settings, indexFile, made);
    try {
      const handedIn = await handInLane(shard, input, lane, trained, settings, made);
      return handedIn ? resultOf(ofLane(input, handedIn)) : over(slot, attempt);
    } finally {
      await trained.before.close();
    }
  } finally {
    heart.stop();
    await rm(shard.folder, { recursive: true, force: true }).catch(() => {});
  }
}

/** Null where the round went on without it: what it made changes nothing any more. */
async function handInLane(
  shard: Shard,
  input: ReplicaInput,
  lane: Lane,
  { before, snapshot }: TrainedLane,
  settings: PhaseSettings,
  made: LaneProgress,
): Promise<FoundSlot | null> {
  const { deps, attempt, cpu } = shard;
  const { round, slot } = input;
  const replicas = replicasOf(settings);
  const steps = new PhaseSteps(settings.batches);
  const { begins = input.plan.from } = input.plan;
  const at = lane.first - 1 - begins.step;
  const examples = steps.seenBefore(at + lane.steps) - steps.seenBefore(at);
  shard.doing = 'writing what changed';
  const folder = join(shard.folder, 'handed-in');
  await mkdir(folder, { recursive: true });
  const after = await RoundState.open(
    snapshot.folder,
    snapshot.state.map(({ path }) => path),
  );
  const head = { seed: settings.seed, round: round.from.step, from: slot, examples };
  const exchanged = exchangedOf(settings, replicas, before);
  const ended = isOver(deps, input);
  // Met below; until then it is not unhandled.
  ended.catch(() => {});
  const files = await writeReplica(folder, replicas, head, exchanged, before, after).finally(() => after.close());
  if (await ended) return null;
  shard.doing = 'handing in what changed';
  const prefix = filesPrefix(input, attempt.id);
  for (const { path, sha256, bytes } of files) {
    await deps.store.putFile(prefix + path, join(folder, path), { sha256, signal: attempt.signal, spread: true });
    made.up += bytes;
  }
  await deps.onPoint?.('objects');
  attempt.signal.throwIfAborted();
  const { metrics, skipped, filtered } = snapshot;
  const handedIn = await handIn(deps.store, input, {
    version: 1,
    slot,
    examples,
    steps: lane.steps,
    ...(input.lane && { first: lane.first }),
    attempt: attempt.id,
    files: [...files],
    fetched: made.down,
    metrics: metrics as FoundSlot['document']['metrics'],
    skipped: new SkippedMembers(skipped).list,
    ...(filtered !== undefined && { filtered }),
    ...(cpu && { cpu: { threads: cpu.threads, kind: cpu.kind } }),
    ...(shard.settings && computedWith(shard.settings)),
  });
  await deps.onPoint?.('commit');
  if (handedIn.document.attempt === attempt.id) attempt.use?.committed(shard.live.step);
  // Another attempt was first, and no document will ever name these.
  if (handedIn.document.attempt !== attempt.id)
    for (const { path } of files) await deps.store.delete(prefix + path).catch(() => {});
  return handedIn;
}

const isOver = async ({ store }: Dependencies, { plan, revision, round }: ReplicaInput): Promise<boolean> =>
  (await store.head(commitKey({ run: plan.run, phase: plan.phase, revision, step: round.to }))) !== null;

const over = (slot: number, { id }: Attempt): ReplicaResult => ({
  slot,
  member: null,
  loss: 0,
  examplesPerSecond: 0,
  bytes: 0,
  attempt: id,
});

function resultOf({ ref, document: { slot, metrics, files, attempt, fetched } }: FoundSlot): ReplicaResult {
  const { loss, examplesPerSecond } = metrics;
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const down = fetched !== undefined && { down: fetched };
  return { slot, member: ref, loss, examplesPerSecond, bytes, ...down, attempt };
}
