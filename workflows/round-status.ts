import type { ReplicaResult } from '../activities/types/rounds.ts';
import { lanesOf, roundEnd } from '../src/recipe/lanes.ts';
import { leastOf, mostOf } from '../src/recipe/replicas.ts';
import type { PhaseProgress } from './phase-progress.ts';

/** What a replica has handed in, as the status of its round shows it. */
export interface SlotIn extends Pick<ReplicaResult, 'slot' | 'loss' | 'examplesPerSecond' | 'attempt'> {
  /** Bytes that it uploaded, and fetched to begin with; of before that was counted there are none of the latter. */
  readonly up: number;
  readonly down?: number;
  /** From the start of the round. */
  readonly seconds: number;
}

/** A round that was merged. */
export interface MergedRound {
  readonly number: number;
  readonly from: number;
  readonly to: number;
  readonly slots: number;
  /** How many of them are in it, and which are not. */
  readonly members: number;
  readonly late: readonly number[];
  /** Bytes of all members. */
  readonly up: number;
  readonly down: number;
  /** From its start until it was merged. */
  readonly seconds: number;
}

/** The round that is under way, or the next one. */
export interface RoundStatus {
  /** From 1, of the phase. */
  readonly number: number;
  /** Steps of the phase that its slots share: those after `from` up to `to`. */
  readonly from: number;
  readonly to: number;
  readonly slots: number;
  /** How many are waited for when the deadline is over; all without one. */
  readonly quorum: number;
  /** ISO times: of its start, null before that, and of the deadline, where there is one. */
  readonly began: string | null;
  readonly deadline: string | null;
  readonly merging: boolean;
  /** Who is in, in the order in which they came. A run shows none: its phase does. */
  readonly in: readonly SlotIn[];
  readonly last: MergedRound | null;
}

/** Slots of a report: its run keeps it in its history. */
const mostLate = 32;

/** The round that a phase begins next; null where it is not trained in rounds, or is at its end. */
export function roundAhead(phase: PhaseProgress): RoundStatus | null {
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
  now: number,
) {
  const { bytes: up, down } = of;
  const figures = { slot, loss, examplesPerSecond, attempt, up, ...(down !== undefined && { down }) };
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
