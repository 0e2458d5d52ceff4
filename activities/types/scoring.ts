import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import type { Used } from '../../src/costs/used.ts';
import type { ScoreDtype } from '../../src/data/index/score-index.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import type { PhasePlan } from './plan.ts';

/** The scores of a phase of curation are there: its settings are to name them. */
export interface SealInput {
  readonly plan: PhasePlan;
  readonly teacher: CheckpointRef;
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
  readonly used?: Used;
}
