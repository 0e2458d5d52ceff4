import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import type { ScoreDtype } from '../../src/data/index/score-index.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import type { InformationBound } from '../../src/recipe/information.ts';
import type { PhaseLimits } from '../../src/recipe/limits-schema.ts';
import type { Position } from '../../src/recipe/position.ts';
import type { ReadSettings } from '../../src/recipe/reading.ts';
import type { Replicas } from '../../src/recipe/replicas.ts';
import type { Document } from './document.ts';

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
    /** What may not fall, of phases that go on from a checkpoint; absent: nothing. */
    readonly guard?: Guard;
  };
  /** It is trained in rounds, as its settings say too; absent: by one worker at a time. */
  readonly replicas?: Replicas;
  /** Where the recipe says that it stops with a checkpoint and waits; absent: nowhere. */
  readonly limits?: PhaseLimits;
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

/** As evaluate.guard of a recipe. */
export interface Guard extends BestFigure {
  readonly task: string;
  readonly fall: number;
  readonly action?: 'wait' | 'end' | undefined;
}

/** A figure of an evaluator, by its path: `mean.text_to_image.r1`. */
export interface BestFigure {
  readonly evaluator: string;
  readonly figure: string;
}
