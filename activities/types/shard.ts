import type { CheckpointMetrics, CheckpointRef } from '../../src/checkpoint/types.ts';
import type { Used } from '../../src/costs/used.ts';
import type { SkippedSummary } from '../../src/data/index/types.ts';
import type { Overrides } from '../../src/recipe/overrides.ts';
import type { Pace } from '../../src/recipe/pace.ts';
import type { Position } from '../../src/recipe/position.ts';
import type { Replicas } from '../../src/recipe/replicas.ts';
import type { FirstStepSeconds } from '../../src/worker-life/first-step.ts';
import type { PhasePlan } from './plan.ts';

export interface ShardInput {
  readonly plan: PhasePlan;
  /** Raised by every rollback, so that a redo never meets an old commit. */
  readonly revision: number;
  /** The checkpoint that the phase started from; null from scratch. */
  readonly parent: CheckpointRef | null;
  /** Batches of the phase that are left out since they made it diverge, ascending. */
  readonly skip?: readonly number[];
  /** The recorded result of the shard before; null at the start of the phase. */
  readonly from: CheckpointRef | null;
  readonly toStep: number;
  /** What an earlier shard found out, where the plan says auto. */
  readonly pace?: Pace | null;
  /** Milliseconds that it may have a device for; then it ends with a checkpoint. */
  readonly deviceMs?: number;
  /** What it may cost, its last checkpoint too; then it ends with one. */
  readonly cost?: number;
}

/** Members of the data of a phase that it has not used, of so many. */
export interface SkippedOf extends SkippedSummary {
  readonly of?: number;
}

/** What a commit says about itself, for status. */
export interface ShardResult {
  readonly checkpoint: CheckpointRef;
  readonly metrics: CheckpointMetrics;
  /** ISO time of the commit. */
  readonly committed: string;
  readonly attempt: string;
  /** Where the plan says auto and it is known by now: how the phase goes on. */
  readonly pace?: Pace;
  /** Milliseconds that its attempts had a device for, those that died too; absent in results of older versions. */
  readonly deviceMs?: number;
  /** What they had it for, and what that cost; absent in results of older versions. */
  readonly used?: Used;
  /** Members of its data that the phase has not used; absent where there are none. */
  readonly skipped?: SkippedOf;
  /** How often it has passed over an example that a filter leaves out, or without a text in a language that it draws; absent where it has not. */
  readonly filtered?: number;
  /** What a person should know of the machine that trained it, in a sentence. */
  readonly remark?: string;
  /** What its steps were computed with, as it was said or measured; absent in results of older versions. */
  readonly precision?: 'f32' | 'bf16' | undefined;
  readonly xla?: 'off' | 'on' | undefined;
}

/** Details of a heartbeat of trainShard, newest figures first. */
export interface ShardHeartbeat {
  readonly step: number;
  readonly loss: number;
  /** As in Progress. */
  readonly objectives: Readonly<Record<string, number>>;
  readonly figures: Readonly<Record<string, number>>;
  readonly examplesPerSecond: number;
  readonly dataWaitShare: number;
  readonly lastCommit: { readonly step: number; readonly committed: string } | null;
  /** What is being done or waited for, when it is not a step. */
  readonly doing: string | null;
  /** Where its worker has several. */
  readonly device?: string;
  /** In the first shard of a worker, after its first step: where the time went until then. */
  readonly firstStep?: FirstStepSeconds;
  /** As in the result, up to now: the next attempt counts on from it. */
  readonly deviceMs?: number;
  readonly used?: Used;
  /** As in ShardResult. */
  readonly remark?: string;
  readonly precision?: 'f32' | 'bf16' | undefined;
  readonly xla?: 'off' | 'on' | undefined;
}

export interface RecoverInput {
  readonly plan: PhasePlan;
  readonly parent: CheckpointRef | null;
  readonly skip?: readonly number[];
  readonly revision: number;
  /** Checkpoints at and after this step are not trusted. */
  readonly belowStep: number;
}

/** A phase is to be tried again with other settings. */
export interface ReplanInput {
  readonly plan: PhasePlan;
  readonly overrides: Omit<Overrides, 'skip'>;
  /** Where it stands, and the batches that it leaves out: for other batches. */
  readonly at?: Position;
  readonly skip?: readonly number[];
  /** Other replicas. */
  readonly replicas?: Replicas;
  /** So many steps more: what is left of the schedule after `at` is spread over them too. */
  readonly extend?: { readonly steps: number; readonly at: Position };
}

/** The plan, the batches that are left out where those are counted anew, and what has changed, for people. */
export type Replanned = PhasePlan & { readonly skip?: readonly number[]; readonly changes?: readonly Change[] };

/** A setting of a phase that a person changed. */
export interface Change {
  readonly what: string;
  readonly from: unknown;
  readonly to: unknown;
}

/** A phase has no shard yet. */
export interface BeginInput {
  readonly plan: PhasePlan;
  readonly parent: CheckpointRef | null;
  readonly skip?: readonly number[];
  /** Of what it would begin with in an empty bucket. */
  readonly revision: number;
}

export interface Begun {
  readonly revision: number;
  /** A checkpoint of another revision that it goes on from; null: from what lies in its own, or from its start. */
  readonly from: CheckpointRef | null;
  /** What a person should know of what earlier starts of the run left behind. */
  readonly notes: readonly string[];
  /** What earlier starts of the run used for this phase, as far as they came to say so. */
  readonly used?: Used;
}

export interface PruneInput {
  readonly plan: PhasePlan;
  /** The one that is trained; absent in inputs of older versions. */
  readonly revision?: number;
  /** What the phase goes on from. */
  readonly from: CheckpointRef | null;
}

export interface SweepInput {
  readonly run: string;
  /** Only this phase, which has ended; by default the run. */
  readonly plan?: PhasePlan;
  /** What that phase ended with. */
  readonly ended?: CheckpointRef;
}
