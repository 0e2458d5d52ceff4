import { defineQuery, defineSignal } from '@temporalio/workflow';
import type { ShardResult } from '../activities/types.ts';

export type PhaseState =
  | 'planning'
  | 'training'
  | 'recovering'
  | 'evaluating'
  | 'exporting'
  | 'stopped'
  | 'failed'
  | 'done';

/** What a phase tells the recipe that started it: changes of state only. */
export interface PhaseReport {
  readonly phase: string;
  readonly state: PhaseState;
  readonly from: number;
  readonly total: number;
  readonly revision: number;
  /** The result of the last shard. */
  readonly last: ShardResult | null;
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
}

export const statusQuery = defineQuery<Status>('status');
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
  const rate = last?.metrics.examplesPerSecond ?? null;
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
  };
}
