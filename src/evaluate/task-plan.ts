import type { EvaluatorName } from './evaluators/settings.ts';
import type { ClassSpec, ImageSpec } from './features/spec.ts';
import type { View } from './features/view.ts';
import type { Task } from './tasks/task.ts';
import type { TrainedOn } from './trained-on.ts';

/** A document of the bucket, and a checkpoint, as activities refer to them. */
export interface DocumentRef {
  readonly key: string;
  readonly sha256: string;
}

/** Pictures that are looked at: what their features depend on, and where their index lies. */
export interface SetPlan {
  readonly spec: ImageSpec;
  readonly index: DocumentRef;
  /** Where its parts lie, ending in /; absent: with those of all evaluations. */
  readonly at?: string;
}

/** An evaluator at a view. */
export interface PlannedFigure {
  readonly evaluator: EvaluatorName;
  readonly view: View;
}

/** An evaluation, resolved: all that its parts need, once and for all. It grows with the names of classes alone. */
export interface TaskPlan<Checkpoint = unknown> {
  readonly version: 1;
  /** First 16 of a hash of all that the figures depend on: equal evaluations lie at one place. */
  readonly id: string;
  readonly task: Task;
  readonly model: { readonly name: string; readonly checkpoint: Checkpoint };
  readonly test: SetPlan;
  readonly train: SetPlan | null;
  readonly classes: ClassSpec | null;
  /** What of the test set the model was trained on; null where that is not known, absent in plans of before. */
  readonly trainedOn?: TrainedOn | null;
  readonly figures: readonly PlannedFigure[];
  readonly codeVersion: string;
}
