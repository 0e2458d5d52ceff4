import type { AnnotateShardResult } from '../activities/types/annotation.ts';
import type { TaskResult } from '../activities/types/evaluation.ts';
import type { EvaluationResult, ExportResult, Watched } from '../activities/types/phase-end.ts';
import type { PhasePlan } from '../activities/types/plan.ts';
import type { ShardResult, SkippedOf } from '../activities/types/shard.ts';
import type { Used } from '../src/costs/used.ts';
import type { PhaseInput } from './phase-progress.ts';

/** What a phase ends with, and the plan that it had then; phases of older versions don't say. */
export type PhaseEnd = ShardResult & { readonly plan?: PhasePlan; readonly watched?: Watched };

/** What a phase ends with that its run asked for: all that it goes on with as a child of the run's next history. */
export interface HandedOver {
  readonly handedOver: PhaseInput;
}

/** What a finished phase answers: references and figures. */
export interface PhaseResult {
  readonly phase: string;
  readonly checkpoint: ShardResult['checkpoint'] & { readonly uri: string };
  readonly metrics: ShardResult['metrics'];
  /** Members of its data that it has not used; absent when it used all. */
  readonly skipped?: ShardResult['skipped'];
  readonly filtered?: number;
  readonly evaluation: EvaluationResult | null;
  readonly export: ExportResult;
  /** The figure that may have ended it; absent where none could. */
  readonly watched?: Watched;
  /** Of the tasks of the recipe; absent where it has none. */
  readonly tasks?: readonly TaskOutcome[];
  /** What it used, its evaluation too; absent in results of older versions. */
  readonly used?: Used;
}

/** What a phase came to by one task; the failure of an evaluation is no failure of what was trained. */
export type TaskOutcome = { readonly name: string } & (TaskResult | { readonly failure: string });

/** What a finished run answers. */
export interface RecipeResult {
  readonly run: string;
  /** Examples that were trained on, and members of the shards that could not be used, each once; with the most frequent reasons. */
  readonly data: {
    readonly examples: number;
    readonly corrupt: number;
    readonly reasons?: SkippedOf['reasons'];
  };
  /** In the order of the recipe. */
  readonly phases: readonly PhaseResult[];
  /** Address of the page of the run; absent where none could be written, and in results of older versions. */
  readonly report?: string;
}

/** What all shards up to now come to: a few hundred bytes, however many they are. */
export interface AnnotationTotals {
  readonly counts: AnnotateShardResult['counts'] | null;
  readonly bytes: number;
  /** Members that could not be used, most frequent reasons first; null: none. */
  readonly broken: AnnotateShardResult['broken'];
}

/** Where an annotation stands. */
export interface AnnotationStatus extends AnnotationTotals {
  readonly state: 'planning' | 'annotating' | 'done' | 'stopped' | 'failed';
  readonly shards: { readonly done: number; readonly all: number };
  readonly out: string | null;
}

/** What a finished annotation answers. */
export type AnnotationResult = Omit<AnnotationStatus, 'state'>;

/** Where an evaluation stands. */
export interface EvaluationStatus {
  readonly state: 'planning' | 'embedding' | 'evaluating' | 'done' | 'stopped' | 'failed';
  /** Of features. */
  readonly parts: { readonly done: number; readonly all: number };
  /** Evaluators times views. */
  readonly figures: { readonly done: number; readonly all: number };
  /** Where its result will lie. */
  readonly prefix: string | null;
}
