import type { PhasePlan } from '../activities/types/plan.ts';
import type { ReplicaResult } from '../activities/types/rounds.ts';
import { lanesOf, roundEnd } from '../src/recipe/lanes.ts';
import { leastOf, mostOf } from '../src/recipe/replicas.ts';
import type { MergedRound, RoundStatus, SlotIn } from './messages.ts';

/** Slots of a report: its run keeps it in its history. */
const mostLate = 32;

/** What a phase knows of its rounds. */
interface InRounds {
  readonly plan: PhasePlan;
  readonly step: number;
  readonly slots: number | null;
  readonly rounds: number;
  readonly merged: MergedRound | null;
}

/** The round that a phase begins next; null where it is not trained in rounds, or is at its end. */
export function roundAhead(phase: InRounds): RoundStatus | null {
  const { plan, step } = phase;
  const { replicas } = plan;
  if (!replicas || step >= plan.to.step) return null;
  const slots = Math.min(mostOf(replicas), Math.max(leastOf(replicas), phase.slots ?? mostOf(replicas)));
  const to = roundEnd(step, slots * replicas.steps, plan.to.step, plan.branches);
  // Where there are less steps than slots there are so many lanes.
  const lanes = lanesOf({ from: step, to, slots }).length;
  return {
    ...{ number: phase.rounds + 1, from: step, to, slots, quorum: Math.min(lanes, replicas.quorum ?? lanes) },
    ...{ began: null, deadline: null, merging: false, in: [], last: phase.merged },
  };
}

/** The round as it begins now. */
export function begunRound(round: RoundStatus, minutes: number | undefined, now: number): RoundStatus {
  const deadline = minutes === undefined ? null : new Date(now + minutes * 60_000).toISOString();
  return { ...round, began: new Date(now).toISOString(), deadline };
}

/** With what a replica handed in. */
export function withSlot(
  round: RoundStatus,
  { slot, loss, examplesPerSecond, attempt, ...of }: ReplicaResult,
  /** Of its lane, where these are not alike. */
  steps: number | false,
  now: number,
) {
  const { bytes: up, down } = of;
  const figures = {
    slot,
    loss,
    examplesPerSecond,
    attempt,
    up,
    ...(down !== undefined && { down }),
    ...(steps && { steps }),
  };
  return { ...round, in: [...round.in, { ...figures, seconds: secondsSince(round, now) }] };
}

/** What is kept of a round that was merged. */
export function mergedRound(round: RoundStatus, late: readonly number[], now: number): MergedRound {
  const { number, from, to, slots } = round;
  const members = round.in;
  const sum = (of: (one: SlotIn) => number) => members.reduce((total, one) => total + of(one), 0);
  const bytes = { up: sum(({ up }) => up), down: sum(({ down = 0 }) => down) };
  return { number, from, to, slots, members: members.length, late, ...bytes, seconds: secondsSince(round, now) };
}

/** A few hundred bytes of it. */
export function briefRound(round: RoundStatus): RoundStatus {
  const { last } = round;
  return { ...round, in: [], last: last && { ...last, late: last.late.slice(0, mostLate) } };
}

const secondsSince = ({ began }: RoundStatus, now: number) =>
  began === null ? 0 : Math.max(0, Math.round((now - Date.parse(began)) / 100) / 10);
