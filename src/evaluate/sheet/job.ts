import type { ModelConfig } from '../../model/sizes.ts';
import type { ClassSpec, ImageSpec } from '../features/spec.ts';

/** Makes the sheet of an evaluation and writes it to `out`. Answers null when it was stopped. */
export interface SheetJob {
  readonly kind: 'sheet';
  /** Local folder with model.safetensors. */
  readonly folder: string;
  readonly model: ModelConfig;
  /** What the evaluation shows and says; of its views the last is shown. */
  readonly spec: ImageSpec;
  readonly classes: ClassSpec | null;
  readonly languages: readonly string[];
  readonly indexFile: string;
  /** Of the checkpoint. */
  readonly name: string;
  readonly out: string;
}
