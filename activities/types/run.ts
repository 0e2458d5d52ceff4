import type { CheckpointMetrics, CheckpointRef } from '../../src/checkpoint/types.ts';
import type { ScoreDtype } from '../../src/data/index/score-index.ts';
import type { SkippedSummary } from '../../src/data/index/types.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import type { InformationBound } from '../../src/recipe/information.ts';
import type { Overrides } from '../../src/recipe/overrides.ts';
import type { Pace } from '../../src/recipe/pace.ts';
import type { Position } from '../../src/recipe/position.ts';
import type { ReadSettings } from '../../src/recipe/reading.ts';

/** A JSON document in the bucket, named by its content, so that it can't change unseen. */
export interface Document {
  readonly key: string;
  readonly sha256: string;
}

/** A DataIndex. */
export interface IndexDocument extends Document {
  /**
   * sha256 of what it says as indexes of older versions said it: scores are named by it, so that those of before are found.
   * Absent: its own.
   */
  readonly identity?: string;
}

/** A phase, resolved: everything that its shards need, once and for all. */
export interface PhasePlan {
  readonly run: string;
  readonly phase: string;
  readonly recipeHash: string;
  /** PhaseSettings. */
  readonly settings: Document;
  /** Of the training data. */
  readonly index: IndexDocument;
  readonly dataFingerprint: string;
  /** Members of its data that are examples, or were to be; absent in plans of older versions. */
  readonly members?: number;
  readonly batch: number;
  /** Why its batches can't be changed; absent where they can, and in plans of older versions. */
  readonly fixedBatches?: 'naflex' | 'curation';
  /** Where its batches have had their present size from; absent: from its start. */
  readonly begins?: Position;
  /** What it goes on from: an earlier phase of the run, at the step of `from`; a checkpoint elsewhere; or nothing. */
  readonly origin: { readonly phase: string } | { readonly checkpoint: CheckpointRef } | null;
  readonly from: Position;
  readonly to: Position;
  /** Steps at which other phases branch off: shards are cut there. */
  readonly branches: readonly number[];
  readonly shardSteps: number | 'auto';
  /** auto: the first shard finds it out. */
  readonly checkpointEvery: number | 'auto';
  /** Newest checkpoints that stay, beside branch points and pinned ones; plans of older versions keep all. */
  readonly keep?: number;
  /** Absent: examples are trained on as they come. */
  readonly curation?: CurationPlan;
  /** What its teacher has to say; null: nothing; absent in plans of older versions, for which that is the same. */
  readonly information?: InformationBound | null;
  /** What its checkpoints are evaluated by; absent: by no task. */
  readonly tasks?: {
    readonly documents: readonly TaskDocument[];
    /** Steps after which that is done during training; null: at its end alone. */
    readonly every: number | null;
    /** Of which task the best checkpoint is kept, and by what; absent: none is. */
    readonly best?: { readonly task: string } & BestFigure;
    /** When that figure ends the phase; absent: never. */
    readonly earlyStopping?: EarlyStopping;
  };
  /** How often a batch at fault is left out before the phase waits; absent in plans of older versions. */
  readonly leaveOut?: number;
}

/** Whose scores a phase of curation chooses by. */
export interface CurationPlan {
  /** An earlier phase of the run, at its end; or a checkpoint elsewhere. */
  readonly teacher: { readonly phase: string } | { readonly checkpoint: CheckpointRef };
  readonly model: ModelConfig;
  /** Whether every example is scored before the first step; else the teacher runs beside the learner. */
  readonly stored: boolean;
  readonly languages: readonly string[];
  /** Of a mixture, of each of its sources. */
  readonly sourceLanguages?: readonly (readonly string[])[];
  readonly dtype: ScoreDtype;
  /** Shards of the data, each scored by an activity of its own. */
  readonly shards: number;
  /** The teacher, once its scores are there and the settings name it. */
  readonly sealed: CheckpointRef | null;
}

export interface EvaluationPlan {
  /** DataIndex of the evaluation data. */
  readonly index: Document;
  readonly dataFingerprint: string;
  readonly languages: readonly string[];
  readonly maxExamples: number;
  /** Members of its shards that can't be used; absent in plans of older versions. */
  readonly corrupt?: number;
  /** How its texts are drawn; absent in plans of older versions, and where only labels are. */
  readonly read?: ReadSettings;
}

export interface RunPlan {
  readonly run: string;
  readonly recipeHash: string;
  readonly phases: readonly PhasePlan[];
  readonly evaluation: EvaluationPlan | null;
  /** Examples that are trained on, and members of all shards that can't be: those that are evaluated on too. */
  readonly examples: number;
  readonly corrupt: number;
  readonly parameters: number;
}

export interface PlanInput {
  readonly run: string;
  readonly recipe: unknown;
}

export interface PlanPhaseInput extends PlanInput {
  /** May be left out where the recipe has one. */
  readonly phase?: string;
}

/** What is to be planned: a run, a phase anew, or a filter. */
export type FindShardsInput =
  | PlanInput
  | (Pick<ReplanInput, 'plan' | 'overrides'> & { readonly run: string })
  | { readonly filter: unknown };

/** Shards that have no index yet, or no token set; null where they are few, which planning reads itself. */
export interface UnindexedShards {
  readonly document: Document | null;
  /** What is to be looked at in their texts; absent where nothing is. */
  readonly texts?: Document;
  readonly shards: number;
}

export interface IndexShardsInput {
  readonly document: Document;
  readonly texts?: Document;
  /** Numbers of the first of them, and of the one after the last. */
  readonly from: number;
  readonly to: number;
}

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
  /** As in the result, up to now: the next attempt counts on from it. */
  readonly deviceMs?: number;
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

/** The scores of a phase of curation are there: its settings are to name them. */
export interface SealInput {
  readonly plan: PhasePlan;
  readonly teacher: CheckpointRef;
}

export interface EvaluateInput {
  readonly plan: PhasePlan;
  readonly evaluation: EvaluationPlan;
  readonly checkpoint: CheckpointRef;
}

/** Figures by evaluator, small; the same lies in the bucket at `key`. */
export interface EvaluationResult {
  readonly key: string;
  readonly report: Readonly<Record<string, unknown>>;
}

/** What a teacher is to make of the training data of a phase, once. */
export interface Scoring {
  readonly plan: Pick<PhasePlan, 'run' | 'phase' | 'settings' | 'index'>;
  readonly teacher: { readonly checkpoint: CheckpointRef; readonly model: ModelConfig };
  readonly languages: readonly string[];
  /** Of a mixture, of each of its sources. */
  readonly sourceLanguages?: readonly (readonly string[])[];
  readonly dtype: ScoreDtype;
}

export interface ScoreShardInput extends Scoring {
  /** Number of the data shard in the index. */
  readonly shard: number;
}

/** One file of scores; `scoresKey` says where it lies. */
export interface ScoreShardResult {
  readonly shard: number;
  readonly bytes: number;
  readonly etag: string;
  readonly examples: number;
  /** Examples that the teacher could not be shown. */
  readonly corrupt: number;
  /** Milliseconds that its attempts had a device for; absent in results of older versions. */
  readonly deviceMs?: number;
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
  readonly spent?: { readonly deviceMs: number; readonly began: number };
}

/** A page in the bucket. */
export interface WrittenReport {
  readonly key: string;
  readonly uri: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A task as it lies in the bucket. */
export interface TaskDocument {
  readonly name: string;
  readonly document: Document;
}

/** As evaluate.earlyStopping of a recipe. */
export interface EarlyStopping {
  readonly patience: number;
  readonly threshold: number;
  readonly restoreBest: boolean;
}

/** A checkpoint of a phase was evaluated, and it is to be said whether it goes on. */
export interface WatchInput {
  readonly plan: PhasePlan;
  readonly checkpoint: CheckpointRef;
  /** Of the `result.json` of that evaluation. */
  readonly key: string;
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

/** A figure of an evaluator, by its path: `mean.text_to_image.r1`. */
export interface BestFigure {
  readonly evaluator: string;
  readonly figure: string;
}
