import type { ModelConfig } from '../../model/sizes.ts';
import type { ShownBoxes } from '../evaluators/contract.ts';
import type { ClassSpec, ImageSpec } from '../features/spec.ts';

/** A picture with boxes, and the evaluator and view that found them. */
export interface FoundIn extends ShownBoxes {
  readonly by: string;
}

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
  /** What evaluators found in pictures of the data; absent: nothing of the kind. */
  readonly found?: readonly FoundIn[];
  readonly indexFile: string;
  /** Of the checkpoint. */
  readonly name: string;
  readonly out: string;
}
