import { beginRounds } from '../../activities/begin-rounds.ts';
import type { Dependencies } from '../../activities/dependencies.ts';
import { mergeRound } from '../../activities/merge-round.ts';
import { trainReplica } from '../../activities/train-replica.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import type { MemberRef, RoundInput } from '../../activities/types/rounds.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import { lanesOf, roundEnd } from '../../src/recipe/lanes.ts';
import { mostOf } from '../../src/recipe/replicas.ts';
import type { Hands } from './fixture.ts';

/**
 * What stands in for the workflow: rounds of a phase one after another, each slot by the next of these workers.
 *
 * @param late by the step that a round begins with: slots that are not in
 */
export async function driveRounds(
  on: Pick<Hands, 'attempt'>,
  workers: readonly Dependencies[],
  plan: PhasePlan,
  parent: CheckpointRef | null = null,
  { order = (slots: number[]) => slots, to = plan.to.step, late = (_from: number): number[] => [] } = {},
): Promise<CheckpointRef> {
  const replicas = plan.replicas!;
  let turn = 0;
  let before: MemberRef[] = [];
  const next = () => workers[turn++ % workers.length]!;
  const base = { plan, revision: 0, parent, skip: [] };
  let { checkpoint } = await beginRounds(next(), { ...base, from: null }, on.attempt());
  while (checkpoint.step < to) {
    const slots = mostOf(replicas);
    const end = roundEnd(checkpoint.step, slots * replicas.steps, plan.to.step, plan.branches);
    const round = { from: checkpoint, to: end, slots };
    const input: RoundInput = { ...base, round };
    const members: MemberRef[] = [];
    const missing = late(checkpoint.step);
    const present = lanesOf({ ...round, from: round.from.step })
      .map(({ slot }) => slot)
      .filter((slot) => !missing.includes(slot));
    for (const slot of order(present)) {
      const moments = replicas.moments === 'kept' && before.find((one) => one.slot === slot);
      const lane = { ...input, slot, ...(moments && { moments }) };
      members.push((await trainReplica(next(), lane, on.attempt())).member!);
    }
    ({ checkpoint } = await mergeRound(next(), { ...input, members, late: missing }, on.attempt()));
    before = members;
  }
  return checkpoint;
}
