import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import type { Used } from '../../src/costs/used.ts';
import type { EvaluationPlan, PhasePlan } from './plan.ts';

export interface EvaluateInput {
  readonly plan: PhasePlan;
  readonly evaluation: EvaluationPlan;
  readonly checkpoint: CheckpointRef;
}

/** Figures by evaluator, small; the same lies in the bucket at `key`. */
export interface EvaluationResult {
  readonly key: string;
  readonly report: Readonly<Record<string, unknown>>;
  /** What its attempts used; absent in results of older versions. */
  readonly used?: Used;
}

export interface ExportInput {
  readonly plan: PhasePlan;
  readonly checkpoint: CheckpointRef;
  readonly evaluation: EvaluationResult | null;
}

export interface ExportResult {
  /** s3:// address of a folder that Hugging Face transformers loads. */
  readonly uri: string;
  readonly prefix: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A line of what happened to a phase or to a run. */
export interface HistoryLine {
  /** ISO time. */
  readonly at: string;
  readonly step: number;
  readonly what: string;
}

/** What a workflow tells of a phase that has ended, or of the run itself where `phase` is null: 60 KB at most. */
export interface HistoryInput {
  readonly run: string;
  readonly phase: string | null;
  readonly events: readonly HistoryLine[];
  /** What a phase has used, and when it began, in milliseconds; absent where that is not known. */
  readonly spent?: {
    readonly deviceMs: number;
    readonly began: number;
    readonly used?: Used;
    /** That it came to from where it began. */
    readonly steps?: number;
  };
}

/** A page in the bucket. */
export interface WrittenReport {
  readonly key: string;
  readonly uri: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A checkpoint of a phase was evaluated, and it is to be said whether it goes on. */
export interface WatchInput {
  readonly plan: PhasePlan;
  readonly checkpoint: CheckpointRef;
  /** Of the `result.json` of that evaluation. */
  readonly key: string;
}

/** It is to be said how a figure was before a phase, and how it is now. */
export interface GuardInput {
  readonly plan: PhasePlan;
  /** Of the `result.json` of both evaluations. */
  readonly before: string;
  readonly key: string;
}

export interface Guarded {
  readonly before: number;
  readonly value: number;
}

/** A phase ends, and is to end with its best. */
export interface BestInput {
  readonly plan: PhasePlan;
  /** Where it stands; absent in histories of before it was told. */
  readonly checkpoint?: CheckpointRef;
}

/** What a phase has come to by the figure that may end it: small, for status. */
export interface Watched {
  /** Such as `pets retrieval mean.text_to_image.r1`. */
  readonly figure: string;
  readonly step: number;
  readonly value: number;
  /** Where it was highest. */
  readonly best: { readonly step: number; readonly value: number };
  /** Evaluations in a row in which it has not risen, of so many that end the phase. */
  readonly without: number;
  readonly patience: number;
  /** The phase has ended by it. */
  readonly stopped?: true;
}
