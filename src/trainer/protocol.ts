import type { CheckpointMetrics, Position, StateFile } from '../checkpoint/types.ts';
import type { ScoreDtype } from '../data/index/score-index.ts';
import type { BatchPlan, CorruptMember, ShardIndex } from '../data/index/types.ts';
import type { ModelConfig } from '../model/sizes.ts';
import type { ObjectiveSettings } from '../objectives/registry.ts';
import type { CurationRecipe } from '../recipe/curation.ts';
import type { Pace } from '../recipe/pace.ts';
import type { Schedule } from '../recipe/schedule.ts';
import type { OptimizerSettings } from '../recipe/schema.ts';
import type { ScoreFacts } from '../scoring/score-file.ts';

/** Messages between the worker and the trainer, its child process that owns TensorFlow. Plain JSON. */

/** All that fixes the training of a phase; equal settings and equal state give equal bytes. */
export interface PhaseSettings {
  readonly phase: string;
  readonly seed: number;
  readonly precision: 'f32' | 'bf16';
  /** Whether XLA compiles the whole step; absent: what was measured on a GPU, and off on a CPU. */
  readonly xla?: 'off' | 'on';
  readonly model: ModelConfig;
  /** Micro-batches of a step. */
  readonly accumulate: number;
  readonly remat: 'none' | 'blocks';
  readonly init: { readonly temperature: number; readonly logitBias: number };
  readonly objectives: ObjectiveSettings;
  readonly optimizer: OptimizerSettings;
  /** EMA of the teacher, where an objective has one. */
  readonly teacher: { readonly momentum: number };
  readonly schedule: Schedule;
  /** Which examples of a super-batch are trained on; absent: all as they come. */
  readonly curation?: CurationSettings;
  /** A loss above it has diverged. */
  readonly maxLoss?: number;
  readonly batches: BatchPlan;
}

/** Active curation: of `batches.candidates` examples `batches.batch` are chosen. */
export interface CurationSettings extends Omit<CurationRecipe, 'teacher' | 'filterRatio'> {
  /** Absent until the phase begins, and where the scores need none. */
  readonly teacher?: TeacherSettings;
}

/** The model that scores. */
export interface TeacherSettings {
  /** Content hash of its checkpoint. */
  readonly sha256: string;
  readonly model: ModelConfig;
  readonly logitScale: number;
  readonly logitBias: number;
}

export interface TrainJob {
  readonly kind: 'train';
  readonly settings: PhaseSettings;
  /** Local file that holds the DataIndex as JSON. */
  readonly indexFile: string;
  /** Where to start: a verified local folder, or null for a fresh initialisation at step 0. */
  readonly from: ({ readonly folder: string; readonly sha256: string } & Position) | null;
  /** Where the phase began: its batches are counted from there. */
  readonly begins: Position;
  /** Batches of the phase that are left out, ascending. */
  readonly skip: readonly number[];
  /** Local file that holds the ScoreIndex as JSON, where the teacher's scores are stored. */
  readonly scoresFile?: string;
  /** Local folder with model.safetensors of the teacher, where it scores at every step. */
  readonly teacherFolder?: string;
  readonly toStep: number;
  /** A snapshot is taken at every multiple of this and at `toStep`; auto: as the first steps and the first upload tell. */
  readonly checkpointEvery: number | 'auto';
  /** Under auto, where the shard is cut; absent: that too is found out, and it ends at the first such step. */
  readonly shardSteps?: number;
  /** Hash of the program that was measured when the phase began, where that decided on XLA. */
  readonly measured?: string;
  /** Each snapshot gets a folder of its own below this one; the worker deletes it after the upload. */
  readonly snapshotFolder: string;
}

/** Finds out how long a step of a phase takes, and touches nothing that training goes on from. */
export interface MeasureJob extends Pick<TrainJob, 'settings' | 'indexFile' | 'skip' | 'scoresFile' | 'teacherFolder'> {
  readonly kind: 'measure';
}

/** What a measure job answers; null when it was stopped. */
export interface StepTime {
  /** Median of a step, in milliseconds; with several shapes the mean of their medians. */
  readonly ms: number;
  /** Of the program that was measured. */
  readonly hash: string;
}

export interface EvaluateJob {
  readonly kind: 'evaluate';
  /** Local folder with model.safetensors. */
  readonly folder: string;
  readonly model: ModelConfig;
  readonly indexFile: string;
  readonly languages: readonly string[];
  readonly maxExamples: number;
}

/** Embeds every example of a data shard with a teacher; answers null when it was stopped. */
export interface ScoreJob {
  readonly kind: 'score';
  /** Local folder with the teacher's model.safetensors. */
  readonly folder: string;
  readonly teacher: ScoreFacts['teacher'];
  readonly model: ModelConfig;
  readonly shard: ShardIndex;
  /** Ascending, each once. */
  readonly languages: readonly string[];
  /** Sorted ids of all tokens that the texts of all shards have, or null for any: the teacher stays warm between shards. */
  readonly vocabulary: readonly number[] | null;
  readonly dtype: ScoreDtype;
  /** Local file that is written. */
  readonly out: string;
}

export interface ScoredFile {
  readonly bytes: number;
  readonly sha256: string;
  readonly examples: number;
  readonly corrupt: number;
}

export type TrainerJob = TrainJob | MeasureJob | EvaluateJob | ScoreJob;
export type ToTrainer =
  | { readonly type: 'start'; readonly id: number; readonly job: TrainerJob }
  | { readonly type: 'stop'; readonly id: number }
  /** The newest snapshot was committed, in so many seconds. */
  | { readonly type: 'committed'; readonly id: number; readonly seconds: number };

export interface Snapshot extends Position {
  readonly folder: string;
  readonly state: readonly StateFile[];
  readonly sha256: string;
  readonly metrics: CheckpointMetrics;
  readonly skipped: readonly CorruptMember[];
  /** Files in the folder that are for people: no part of the checkpoint. */
  readonly reports: readonly string[];
}

export interface Progress extends Position {
  readonly loss: number;
  /** Each objective's loss as `loss/<objective>`, not weighted, and its metrics as `<objective>/<metric>`. */
  readonly objectives: Readonly<Record<string, number>>;
  readonly examplesPerSecond: number;
  readonly dataWaitShare: number;
}

export type FromTrainer =
  | { readonly type: 'ready'; readonly device: 'cpu' | 'gpu'; readonly tensorflow: string }
  | { readonly type: 'progress'; readonly id: number; readonly progress: Progress }
  | { readonly type: 'note'; readonly id: number; readonly text: string }
  | { readonly type: 'snapshot'; readonly id: number; readonly snapshot: Snapshot }
  /** Under auto: what was found out, and the step at which the job ends now. */
  | { readonly type: 'pace'; readonly id: number; readonly pace: Pace; readonly end: number }
  /** A train job ends at `toStep`, or earlier, with a snapshot, after `stop`. */
  | { readonly type: 'finished'; readonly id: number; readonly result: unknown }
  | {
      readonly type: 'failed';
      readonly id: number;
      readonly code: string;
      readonly message: string;
      readonly details: Record<string, unknown>;
    };
