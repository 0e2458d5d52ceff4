import type { AdapterSize } from '../model/adapters.ts';
import type { ModelConfig } from '../model/sizes.ts';
import type { PositionStretch } from '../model/stretch-positions.ts';
import type { BatchPlan } from './batch-plan.ts';
import type { CurationRecipe } from './curation.ts';
import type { ObjectiveSettings } from './objective-settings.ts';
import type { Replicas } from './replicas.ts';
import type { Schedule } from './schedule.ts';
import type { OptimizerSettings } from './schema.ts';

/** All that fixes the training of a phase; equal settings and equal state give equal bytes. */
export interface PhaseSettings {
  readonly phase: string;
  readonly seed: number;
  /** Numbers that matrices are multiplied in; absent: what was measured before the first step of the phase. */
  readonly precision?: 'f32' | 'bf16';
  /** Whether XLA compiles the whole step; absent: what was measured on a GPU, and off on a CPU. */
  readonly xla?: 'off' | 'on';
  readonly model: ModelConfig;
  /** Micro-batches of a step. */
  readonly accumulate: number;
  readonly remat: 'none' | 'blocks';
  readonly init: { readonly temperature: number; readonly logitBias: number };
  readonly objectives: ObjectiveSettings;
  readonly optimizer: OptimizerSettings;
  /** What is trained, and what of that is not, as `isMeant` reads it; absent: everything, and nothing. */
  readonly train?: readonly string[];
  readonly freeze?: readonly string[];
  /** Embeddings of pictures are computed once and kept by the trainer, since nothing changes them. */
  readonly frozenFeatures?: 'kept';
  /** How positions of texts become more at its start, where it asks for longer ones. */
  readonly textPositions?: PositionStretch;
  /** How many of the added tokens of its model, the last ones, are new at its start. */
  readonly tokensAdded?: number;
  /** Adapters, which alone are trained then. */
  readonly lora?: AdapterSize;
  /** The moving average of what is trained; absent: there is none. */
  readonly ema?: EmaSettings;
  /** EMA of the teacher, where an objective has one. */
  readonly teacher: { readonly momentum: number };
  readonly schedule: Schedule;
  /** Which examples of a super-batch are trained on; absent: all as they come. */
  readonly curation?: CurationSettings;
  /** Absent: the phase is trained by one worker at a time. No graph depends on it. */
  readonly replicas?: Replicas;
  /** A loss above it has diverged. */
  readonly maxLoss?: number;
  readonly batches: BatchPlan;
}

/** A moving average of weights. */
export interface EmaSettings {
  readonly decay: number;
  /** Whether the decay rises to that, as the average grows old. */
  readonly warmup: boolean;
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
