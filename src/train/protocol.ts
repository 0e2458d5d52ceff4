import type { CheckpointMetrics, Position, StateFile } from '../checkpoint/types.ts';
import type { BatchPlan, CorruptMember } from '../data/types.ts';
import type { ModelConfig } from '../model/sizes.ts';
import type { ObjectiveSettings } from '../objectives/registry.ts';
import type { Pace } from '../recipe/pace.ts';
import type { Schedule } from '../recipe/schedule.ts';
import type { OptimizerSettings } from '../recipe/schema.ts';

/** Messages between the worker and the trainer, its child process that owns TensorFlow. Plain JSON. */

/** All that fixes the training of a phase; equal settings and equal state give equal bytes. */
export interface PhaseSettings {
  readonly phase: string;
  readonly seed: number;
  readonly precision: 'f32' | 'bf16';
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
  /** A loss above it has diverged. */
  readonly maxLoss?: number;
  readonly batches: BatchPlan;
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
  readonly toStep: number;
  /** A snapshot is taken at every multiple of this and at `toStep`; auto: as the first steps and the first upload tell. */
  readonly checkpointEvery: number | 'auto';
  /** Under auto, where the shard is cut; absent: that too is found out, and it ends at the first such step. */
  readonly shardSteps?: number;
  /** Each snapshot gets a folder of its own below this one; the worker deletes it after the upload. */
  readonly snapshotFolder: string;
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

export type TrainerJob = TrainJob | EvaluateJob;
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
