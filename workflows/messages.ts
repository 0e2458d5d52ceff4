import { defineQuery, defineSignal } from '@temporalio/workflow';
import type { Watched } from '../activities/types/phase-end.ts';
import type { PhasePlan } from '../activities/types/plan.ts';
import type { ReplicaResult } from '../activities/types/rounds.ts';
import type { ShardResult, SkippedOf } from '../activities/types/shard.ts';
import { addUsed, type Used } from '../src/costs/used.ts';

export const phaseStates = [
  'planning',
  /** The teacher embeds every example, before a phase of curation trains. */
  'scoring',
  'training',
  'recovering',
  /** Stopped by a person, with a checkpoint. */
  'paused',
  /** A limit was reached, and there is a checkpoint. */
  'limit',
  /** Something failed that trying again won't mend: a person has to say how it goes on. */
  'waiting',
  'evaluating',
  'exporting',
  'stopped',
  'failed',
  'done',
] as const;
export type PhaseState = (typeof phaseStates)[number];

/** One line of the `history` query. */
export interface PhaseEvent {
  readonly at: string;
  readonly step: number;
  readonly what: string;
}

/** Older lines than these make room. */
const mostEvents = 200;

export function addEvent(events: PhaseEvent[], step: number, what: string, at = new Date().toISOString()): void {
  events.push({ at, step, what });
  if (events.length > mostEvents) events.shift();
}

/** What a replica has handed in, as the status of its round shows it. */
export interface SlotIn extends Pick<ReplicaResult, 'slot' | 'loss' | 'examplesPerSecond' | 'attempt'> {
  /** Bytes that it uploaded, and fetched to begin with; of before that was counted there are none of the latter. */
  readonly up: number;
  readonly down?: number;
  /** Of its lane, where lanes are dealt by pace. */
  readonly steps?: number;
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

/** What a phase tells the recipe that started it, at the end of a shard and when its state changes: 3 KB at most. */
export interface PhaseReport {
  readonly phase: string;
  readonly state: PhaseState;
  readonly from: number;
  readonly total: number;
  readonly revision: number;
  /** Absent in reports of older versions. */
  readonly batch?: number;
  /** The result of the last shard. */
  readonly last: ShardResult | null;
  /** The sentence that says what went wrong; absent in reports of older versions. */
  readonly failure?: string | null;
  /** What it does while no step is made; absent in reports of older versions. */
  readonly doing?: string | null;
  /** What it has used of its limits, and when it began, in milliseconds; absent in reports of older versions. */
  readonly spent?: { readonly deviceMs: number; readonly began: number; readonly used?: Used };
  /** What happened since the report before. */
  readonly notes?: readonly PhaseEvent[];
  /** Of a phase that its figure may end. */
  readonly watched?: Watched;
  /** Of a phase in rounds that trains: the one that comes next. */
  readonly round?: RoundStatus;
}

/** Where a run stands as of its last recorded commit; live figures are in `siglip2 status`. */
export interface Status {
  readonly run: string;
  readonly phase: string | null;
  readonly state: PhaseState;
  readonly step: number;
  readonly total: number;
  readonly percent: number;
  /** Examples of a step. */
  readonly batch: number;
  readonly loss: number | null;
  readonly examplesPerSecond: number | null;
  /** Seconds of training that are left at this speed. */
  readonly etaSeconds: number | null;
  readonly revision: number;
  readonly lastCheckpoint: string | null;
  readonly checkpointSha256: string | null;
  /** The attempt that made it. */
  readonly attempt: string | null;
  /** ISO time of the commit, and how long ago that is. */
  readonly asOf: string | null;
  readonly ageSeconds: number | null;
  /** The sentence that says what went wrong. */
  readonly failure: string | null;
  /** What is done while no step is made. */
  readonly doing: string | null;
  /** Of a phase of curation: mean scores of the examples that were chosen and of those that were not. */
  readonly curation: { readonly chosen: number; readonly rejected: number } | null;
  /** Members of the data that were not used, by reason; absent in answers of older versions. */
  readonly skipped?: SkippedOf | null;
  /** Draws of examples that were passed over, since they have no text in a language that is drawn; absent: none. */
  readonly filtered?: number;
  /** What matrices are multiplied in, and whether XLA compiles steps, as it was said or measured; null before a commit. */
  readonly precision?: 'f32' | 'bf16' | null;
  readonly xla?: 'off' | 'on' | null;
  /** What it has used up to its last shard, a run in all its phases; absent in answers of older versions. */
  readonly used?: Used;
  /** The figure that may end the phase, as of the last evaluation; absent where none may. */
  readonly watched?: Watched;
  /** Of a phase in rounds that trains. A run knows which round it is, and the phase itself who is in. */
  readonly round?: RoundStatus;
}

/** One line of a run's status for each phase. */
export interface PhaseLine {
  readonly phase: string;
  readonly state: PhaseState | 'not begun';
  readonly step: number;
  readonly from: number;
  readonly total: number;
  readonly loss: number | null;
  readonly lastCheckpoint: string | null;
  readonly failure: string | null;
  readonly used?: Used;
}

/** The status of a run: that of the phase that is training, and a line for each. */
export interface RunStatus extends Status {
  readonly phases: readonly PhaseLine[];
}

export const statusQuery = defineQuery<Status>('status');
/** Of a run the phases as it planned them; of a phase itself as updates have made it since. */
export const planQuery = defineQuery<readonly PhasePlan[]>('plan');
/** What happened, by phase. */
export const historyQuery = defineQuery<Readonly<Record<string, readonly PhaseEvent[]>>>('history');
export const phaseReportSignal = defineSignal<[PhaseReport]>('phaseReport');

/** @param now real time in milliseconds, for the age alone */
export function statusOf(
  run: string,
  state: PhaseState,
  report: PhaseReport | null,
  batch: number,
  failure: string | null,
  now: number,
): Status {
  const last = report?.last ?? null;
  const step = last?.checkpoint.step ?? report?.from ?? 0;
  const total = report?.total ?? 0;
  // Zero while no step told it.
  const rate = last?.metrics.examplesPerSecond || null;
  return {
    run,
    phase: report?.phase ?? null,
    state,
    step,
    total,
    percent: total === 0 ? 0 : Math.round((1000 * step) / total) / 10,
    batch,
    loss: last?.metrics.loss ?? null,
    examplesPerSecond: rate,
    etaSeconds: rate ? Math.round(((total - step) * batch) / rate) : null,
    revision: report?.revision ?? 0,
    lastCheckpoint: last && report ? `${run}/${report.phase}@${step}` : null,
    checkpointSha256: last?.checkpoint.sha256 ?? null,
    attempt: last?.attempt ?? null,
    asOf: last?.committed ?? null,
    ageSeconds: last ? Math.max(0, Math.round((now - Date.parse(last.committed)) / 1000)) : null,
    failure,
    doing: report?.doing ?? null,
    curation: curationOf(last?.metrics.objectives ?? {}),
    skipped: last?.skipped ?? null,
    ...(last?.filtered && { filtered: last.filtered }),
    precision: last?.precision ?? null,
    xla: last?.xla ?? null,
    ...(report?.spent?.used && { used: report.spent.used }),
    ...(report?.watched && { watched: report.watched }),
    ...(report?.round && { round: report.round }),
  };
}

function curationOf({ 'curation/chosen': chosen, 'curation/rejected': rejected }: Readonly<Record<string, number>>) {
  return chosen === undefined || rejected === undefined ? null : { chosen, rejected };
}

/** What a run knows of its phases. */
interface RunTold {
  readonly plans: readonly PhasePlan[];
  readonly reports: readonly PhaseReport[];
  /** What a phase has used, its evaluations too. */
  usedOf(phase: string): Used | undefined;
}

/** @param now real time in milliseconds, for the age alone */
export function runStatusOf(
  run: string,
  state: PhaseState,
  told: RunTold,
  failure: string | null,
  now: number,
): RunStatus {
  const { plans, reports } = told;
  const waiting = reports.find((report) => report.state === 'waiting');
  const active = reports.find(({ state }) => state === 'training' || state === 'recovering' || state === 'scoring');
  const current = waiting ?? active ?? reports.find((report) => report.state !== 'done') ?? reports.at(-1) ?? null;
  const ended = state === 'done' || state === 'failed' || state === 'stopped';
  const batch = current?.batch ?? plans.find(({ phase }) => phase === current?.phase)?.batch ?? 1;
  const phases = plans.map(({ phase, from, to }): PhaseLine => {
    const report = reports.find((one) => one.phase === phase);
    const step = report?.last?.checkpoint.step ?? from.step;
    const used = told.usedOf(phase);
    return {
      phase,
      state: report?.state ?? 'not begun',
      step,
      from: from.step,
      total: report?.total ?? to.step,
      loss: report?.last?.metrics.loss ?? null,
      lastCheckpoint: report?.last ? `${run}/${phase}@${step}` : null,
      failure: report?.failure ?? null,
      ...(used && { used }),
    };
  });
  // One that waits for a person is what a person should see, whatever the others do; then one that trains.
  const shown = ended ? state : ((waiting ?? active)?.state ?? state);
  const used = phases.flatMap((line) => line.used ?? []);
  const status = statusOf(run, shown, current, batch, failure ?? current?.failure ?? null, now);
  return { ...status, ...(used.length > 0 && { used: used.reduce(addUsed) }), phases };
}
