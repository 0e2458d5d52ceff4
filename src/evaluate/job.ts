import type { ModelConfig } from '../model/sizes.ts';
import type { ReadSettings } from '../recipe/reading.ts';
import type { Resize } from '../recipe/schema.ts';

export interface EvaluateJob {
  readonly kind: 'evaluate';
  /** Local folder with model.safetensors. */
  readonly folder: string;
  readonly model: ModelConfig;
  readonly indexFile: string;
  readonly languages: readonly string[];
  readonly maxExamples: number;
  /** How texts of the data are drawn in training; absent: the first caption of a concept is all that counts. */
  readonly read?: ReadSettings;
  /** How pictures become squares; absent: as big_vision does. */
  readonly resize?: Resize;
}
