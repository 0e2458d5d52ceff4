import type { ScoreDtype } from '../data/index/score-index.ts';
import type { Mapping, ShardIndex } from '../data/index/types.ts';
import type { ModelConfig } from '../model/sizes.ts';
import type { ScoreFacts } from './score-file.ts';

/** Embeds every example of a data shard with a teacher; answers null when it was stopped. */
export interface ScoreJob {
  readonly kind: 'score';
  /** Local folder with the teacher's model.safetensors. */
  readonly folder: string;
  readonly teacher: ScoreFacts['teacher'];
  readonly model: ModelConfig;
  readonly shard: ShardIndex;
  /** How its members are read; absent: the JSON of this project. */
  readonly read?: Mapping;
  /** Ascending, each once. */
  readonly languages: readonly string[];
  /** Sorted ids of all tokens that the texts of all shards have, or null for any: the teacher stays warm between shards. */
  readonly vocabulary: readonly number[] | null;
  readonly dtype: ScoreDtype;
  /** As in ScoreFacts. */
  readonly resize?: ScoreFacts['resize'];
  /** Local file that is written. */
  readonly out: string;
}

export interface ScoredFile {
  readonly bytes: number;
  readonly sha256: string;
  readonly examples: number;
  readonly corrupt: number;
}
