import type { ModelConfig } from '../model/sizes.ts';

export interface EvaluateJob {
  readonly kind: 'evaluate';
  /** Local folder with model.safetensors. */
  readonly folder: string;
  readonly model: ModelConfig;
  readonly indexFile: string;
  readonly languages: readonly string[];
  readonly maxExamples: number;
}
