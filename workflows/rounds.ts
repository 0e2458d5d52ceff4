import { CancellationScope, condition, isCancellation, sleep } from '@temporalio/workflow';
import type { ReplicaResult, RoundInput } from '../activities/types/rounds.ts';
import { lengthsByPace } from '../src/recipe/lane-lengths.ts';
import { type Lane, lanesOf } from '../src/recipe/lanes.ts';
import type { Replicas } from '../src/recipe/replicas.ts';
import { activitiesBy } from './activities-by.ts';
import { spentOf } from './failures.ts';
import type { PhaseProgress } from './phase-progress.ts';
import { mergeOptions, replicaOptions, trainOptions } from './policies.ts';
import { begunRound, mergedRound, roundAhead, withSlot } from './round-status.ts';

const { beginRounds } = activitiesBy(trainOptions);
const { trainReplica } = activitiesBy(replicaOptions);
const { mergeRound } = activitiesBy(mergeOptions);

/**
 * One round of a phase: its replicas train at once, each a lane of its own, and what is in by the end of the round is
 * merged into the next checkpoint. Who was in is recorded by what `mergeRound` is given, so that a replay, a retry and a
 * person who computes it again all merge the same. A round is whole or nothing: it can't be stopped half way and kept.
 */
export async function trainRound(phase: PhaseProgress, replicas: Replicas, scope: CancellationScope): Promise<void> {
  await scope.run(async () => {
    const { plan, revision, parent, skip } = phase;
    if (phase.from === null || !isOwn(phase)) {
      const begun = await beginRounds({ plan, revision, parent, skip, from: phase.from });
      phase.spend(begun);
      phase.from = begun.checkpoint;
      if (begun.paces) phase.paces = begun.paces;
      phase.last ??= begun.last;
      if (begun.last) return;
    }
    const ahead = roundAhead(phase)!;
    const { to, slots } = ahead;
    const input = { plan, revision, parent, skip, round: { from: phase.from!, to, slots } };
    phase.round = begunRound(ahead, replicas.deadline?.minutes, Date.now());
    try {
      await merged(phase, replicas, input);
    } finally {
      phase.round = null;
    }
  });
}

async function merged(phase: PhaseProgress, replicas: Replicas, input: RoundInput): Promise<void> {
  const { to, slots } = input.round;
  const span = { from: input.round.from.step, to, slots };
  // Before it begins: what becomes known while it goes on changes no lane of it.
  const lengths = replicas.lanes === 'paced' ? lengthsByPace(to - span.from, slots, phase.paces) : undefined;
  const { members, late } = await gathered(phase, replicas, input, lanesOf({ ...span, lengths }));
  const handedIn = members.flatMap(({ member }) => member ?? []);
  phase.round = { ...phase.round!, merging: true };
  const { paces = [], ...result } = await mergeRound({
    ...input,
    members: handedIn,
    late,
    ...(lengths && { lengths }),
  });
  phase.merged = mergedRound(phase.round, late, Date.now());
  phase.rounds = phase.merged.number;
  phase.members = replicas.moments === 'kept' ? handedIn : [];
  phase.paces = paces;
  // As many as came in time, or one more when all did: what `least` and `most` allow.
  phase.slots = late.length > 0 ? members.length : slots + 1;
  if (late.length > 0) phase.note(`the round to step ${to} went on without slot ${late.join(', ')}`);
  phase.last = result;
  phase.from = result.checkpoint;
}

/** Whether what the phase goes on from is a checkpoint of its own, which a round can begin with. */
const isOwn = ({ plan, from }: PhaseProgress) => from?.run === plan.run && from.phase === plan.phase;

interface Gathered {
  readonly members: readonly ReplicaResult[];
  /** Slots that are not in. */
  readonly late: readonly number[];
}

/**
 * Starts a replica for each lane and waits: for all of them, or after the deadline for a quorum. Those that are late are
 * asked to stop, and not waited for. The first that fails for good ends the round.
 */
async function gathered(
  phase: PhaseProgress,
  replicas: Replicas,
  input: RoundInput,
  lanes: readonly Lane[],
): Promise<Gathered> {
  const slots = lanes.map(({ slot }) => slot);
  const quorum = Math.min(slots.length, replicas.quorum ?? slots.length);
  // A slot that was not in the round before begins with the moments of the checkpoint.
  const kept = replicas.moments === 'kept' ? phase.members : [];
  const members: ReplicaResult[] = [];
  let failure: { readonly error: unknown } | null = null;
  let isLate = false;
  const all = new CancellationScope();
  const running = all.run(() =>
    Promise.all(
      lanes.map(async ({ slot, first, steps }) => {
        try {
          const moments = kept.find((one) => one.slot === slot);
          const lane = replicas.lanes === 'paced' && { lane: { first, steps } };
          const result = await trainReplica({ ...input, slot, ...lane, ...(moments && { moments }) });
          if (isLate) return;
          phase.spend(result);
          members.push(result);
          if (phase.round && result.member) phase.round = withSlot(phase.round, result, lane && steps, Date.now());
        } catch (error) {
          phase.spend(spentOf(error));
          if (!isLate && !isCancellation(error)) failure ??= { error };
        }
      }),
    ),
  );
  const { deadline } = replicas;
  const timer = new CancellationScope();
  let isOver = false;
  if (deadline)
    void timer
      .run(() => sleep(deadline.minutes * 60_000))
      .then(
        () => {
          isOver = true;
        },
        () => {},
      );
  try {
    await condition(() => failure !== null || members.length === slots.length || (isOver && members.length >= quorum));
    if (failure !== null) throw (failure as { readonly error: unknown }).error;
  } finally {
    isLate = true;
    timer.cancel();
    all.cancel();
    void running.catch(() => {});
  }
  members.sort((a, b) => a.slot - b.slot);
  const present = new Set(members.map(({ slot }) => slot));
  return { members, late: slots.filter((slot) => !present.has(slot)) };
}
