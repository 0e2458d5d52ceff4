import type { Used } from '../../src/costs/used.ts';
import type { Document } from './document.ts';
import type { BestFigure } from './plan.ts';

/** A checkpoint, or an absolute path of a model folder on the worker, and what it is evaluated by. */
export interface EvaluationInput {
  /** RUN/PHASE, RUN/PHASE@STEP or /path/of/a/folder. */
  readonly model: string;
  /** Of the checkpoint, from a run that trains it; absent: the one that the name stands for. */
  readonly revision?: number;
  /** As `taskSchema` has it, or where that lies. */
  readonly task: unknown;
  /** Whether the checkpoint is to be held where it is the best of its phase, and by what. */
  readonly best?: BestFigure;
}

/** An evaluation as it was planned: references and counts, for the workflow. */
export interface PlannedEvaluation {
  /** TaskPlan. */
  readonly document: Document;
  /** Where its figures and its result lie. */
  readonly prefix: string;
  readonly parts: Readonly<Record<FeatureSetName, number>>;
  /** Evaluators times views. */
  readonly figures: number;
  /** Its result is there already. */
  readonly done: boolean;
}

export type FeatureSetName = 'test' | 'train' | 'classes';

export interface EmbedPartInput {
  readonly plan: PlannedEvaluation;
  readonly set: FeatureSetName;
  readonly part: number;
}

/** All that a part is made by: embeddings have no more. */
export type EmbedInput = Omit<EmbedPartInput, 'plan'> & { readonly plan: Pick<PlannedEvaluation, 'document'> };

export interface EmbedPartResult {
  readonly examples: number;
  /** Examples that could not be used. */
  readonly skipped: number;
  /** What its attempts used; absent in results of older versions. */
  readonly used?: Used;
}

export interface EvaluatePartInput {
  readonly plan: PlannedEvaluation;
  /** Number of the evaluator and view in the plan. */
  readonly figure: number;
}

export interface KeepBestInput {
  readonly plan: PlannedEvaluation;
  readonly best: BestFigure;
}

/** What an evaluation ends with. */
export interface TaskResult {
  readonly key: string;
  readonly sha256: string;
  /** Of all evaluators and views, where that is little; else the document has them. */
  readonly figures: Readonly<Record<string, unknown>> | null;
  /** What this evaluation used, which may have been little: features that are there are not made again. */
  readonly used?: Used;
}
