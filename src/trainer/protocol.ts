import type { CheckpointMetrics, StateFile, StepSums } from '../checkpoint/types.ts';
import type { CorruptMember } from '../data/index/types.ts';
import type { LearnJob } from '../evaluate/decoder/job.ts';
import type { FigureJob } from '../evaluate/evaluators/job.ts';
import type { EmbedJob } from '../evaluate/features/job.ts';
import type { EvaluateJob } from '../evaluate/job.ts';
import type { SheetJob } from '../evaluate/sheet/job.ts';
import type { InformationBound } from '../recipe/information.ts';
import type { Lane } from '../recipe/lanes.ts';
import type { Pace } from '../recipe/pace.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import type { Position } from '../recipe/position.ts';
import type { StoreUse } from '../runtime/store-use.ts';
import type { ScoreJob } from '../scoring/job.ts';

/** Messages between the worker and the trainer, its child process that owns TensorFlow. Plain JSON. */

/** A checkpoint in a local folder. */
export interface TrainedState extends Position {
  readonly folder: string;
  readonly sha256: string;
  /** Whether the phase that goes on from it made it, by a step of its own. */
  readonly within?: boolean;
  /** Its steps since the last record, where it is one of the same phase. */
  readonly since?: StepSums | undefined;
}

export interface TrainJob {
  readonly kind: 'train';
  readonly settings: PhaseSettings;
  /** Local file that holds the document of an index. */
  readonly indexFile: string;
  /** Where to start: a verified local folder, or null for a fresh initialisation at step 0. */
  readonly from: TrainedState | null;
  /** Where the phase began: its batches are counted from there. */
  readonly begins: Position;
  /** Batches of the phase that are left out, ascending. */
  readonly skip: readonly number[];
  /** What it trains on of a round that began at `from`; absent: all that comes. Then it ends after the lane, with a snapshot. */
  readonly lane?: Lane;
  /** Snapshots have no moments, which whoever goes on from them begins at zero. */
  readonly withoutMoments?: boolean;
  /** Members of the data that the phase has not used up to `from`. */
  readonly skipped?: readonly CorruptMember[];
  /** How often it has passed over an example up to `from`, since that has no text in a language that is drawn. */
  readonly filtered?: number | undefined;
  /** Local file that holds the ScoreIndex as JSON, where the teacher's scores are stored. */
  readonly scoresFile?: string;
  /** Local folder with model.safetensors of the teacher, where it scores at every step. */
  readonly teacherFolder?: string;
  /** What the teacher has to say for itself; absent: nothing. */
  readonly information?: InformationBound;
  readonly toStep: number;
  /** A snapshot is taken at every multiple of this and at `toStep`; auto: as the first steps and the first upload tell. */
  readonly checkpointEvery: number | 'auto';
  /** Under auto, where the shard is cut; absent: that too is found out, and it ends at the first such step. */
  readonly shardSteps?: number;
  /** Hash of the program that was measured when the phase began, where that decided on precision or XLA. */
  readonly measured?: string;
  /** Each snapshot gets a folder of its own below this one; the worker deletes it after the upload. */
  readonly snapshotFolder: string;
}

/** Finds out how long a step of a phase takes, and touches nothing that training goes on from. */
export interface MeasureJob extends Pick<TrainJob, 'settings' | 'indexFile' | 'skip' | 'scoresFile' | 'teacherFolder'> {
  readonly kind: 'measure';
}

/** Has the step of a phase and its first batches ready for the train job that follows, whose checkpoint is on its way. */
export interface PrepareJob extends Pick<TrainJob, 'settings' | 'indexFile' | 'begins' | 'skip' | 'lane'> {
  readonly kind: 'prepare';
  readonly from: Position;
}

/** Takes a snapshot of the state that a phase begins with: of `from` as the phase trains it, or a fresh one. No step is made. */
export interface BeginJob
  extends Pick<TrainJob, 'settings' | 'from' | 'teacherFolder' | 'snapshotFolder' | 'withoutMoments'> {
  readonly kind: 'begin';
  readonly at: Position;
}

/** What a measure job answers; null when it was stopped. */
export interface StepTime {
  /** Median of a step, in milliseconds; with several shapes the mean of their medians. */
  readonly ms: number;
  /** Of the program that was measured. */
  readonly hash: string;
}

export type TrainerJob = (
  | TrainJob
  | PrepareJob
  | BeginJob
  | MeasureJob
  | EvaluateJob
  | EmbedJob
  | LearnJob
  | FigureJob
  | SheetJob
  | ScoreJob
) & {
  /** Threads of a trainer on a CPU, which bytes depend on: it is started with them. Absent: any will do. */
  readonly threads?: number;
};
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
  /** Members of its data that the phase has not used up to here, each once: those that the index could not use come first. */
  readonly skipped: readonly CorruptMember[];
  /** As in the job, up to here; absent in recipes that count such examples as skipped. */
  readonly filtered?: number;
  /** Files in the folder that are for people: no part of the checkpoint. */
  readonly reports: readonly string[];
}

/** How long a train job took to its first step, in milliseconds: its graph, the state in it, the first batch and step. */
export interface TrainStart {
  readonly compile: number;
  readonly state: number;
  readonly step: number;
}

/** Figures of one step, for plots. */
export interface StepRecord {
  readonly step: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly values: Readonly<Record<string, number>>;
}

export interface Progress extends Position {
  /** Of the last step, as all that is no mean by its name. */
  readonly loss: number;
  /** Each objective's loss as `loss/<objective>`, not weighted, and its metrics as `<objective>/<metric>`. */
  readonly objectives: Readonly<Record<string, number>>;
  /** As in CheckpointMetrics. */
  readonly figures: Readonly<Record<string, number>>;
  readonly examplesPerSecond: number;
  readonly dataWaitShare: number;
  /** Those that were made since the last report. */
  readonly records: readonly StepRecord[];
}

export type FromTrainer =
  | { readonly type: 'ready'; readonly device: 'cpu' | 'gpu'; readonly tensorflow: string }
  | { readonly type: 'progress'; readonly id: number; readonly progress: Progress }
  | { readonly type: 'note'; readonly id: number; readonly text: string }
  | { readonly type: 'snapshot'; readonly id: number; readonly snapshot: Snapshot }
  /** Of a train job, after its first step: what came before it, in milliseconds. */
  | { readonly type: 'begun'; readonly id: number; readonly start: TrainStart }
  /** What it has read of the store since it told it before. */
  | { readonly type: 'stored'; readonly id: number; readonly use: StoreUse }
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
