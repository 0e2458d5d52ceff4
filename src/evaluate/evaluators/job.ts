import type { SkippedSummary } from '../../data/index/types.ts';
import type { ClassSpec, ImageSpec } from '../features/spec.ts';
import type { View } from '../features/view.ts';
import type { FigureInterval } from '../intervals.ts';
import type { TrainedOn } from '../trained-on.ts';
import type { Figures, ShownBoxes } from './contract.ts';
import type { EvaluatorName } from './settings.ts';

/** Every setting that a figure depends on, by name: what differs between two figures is what can explain their difference. */
export type Fingerprint = Readonly<Record<string, string | number | boolean>>;

/** Local files with the parts of a spec, in their order. */
export interface Files<Spec> {
  readonly spec: Spec;
  readonly files: readonly string[];
}

/** Runs one evaluator at one view. What came of single examples goes to `out`. Answers null when it was stopped. */
export interface FigureJob {
  readonly kind: 'figure';
  readonly evaluator: EvaluatorName;
  readonly settings: unknown;
  readonly view: View;
  readonly languages: readonly string[];
  readonly seed: number;
  readonly test: Files<ImageSpec>;
  readonly train: Files<ImageSpec> | null;
  readonly classes: Files<ClassSpec> | null;
  /** The decoder that an evaluator with a lesson has taught: its file, its key in the bucket, `lessonHash`. */
  readonly learned?: { readonly file: string; readonly key: string; readonly hash: string };
  /** What of the test set the model was trained on; null where that is not known, absent in plans of before. */
  readonly trainedOn?: TrainedOn | null;
  readonly codeVersion: string;
  readonly out: string;
}

/** What one evaluator says at one view, as it stands in a result. */
export interface Figured {
  /** That could be used, and what could not. */
  readonly examples: number;
  readonly skipped?: SkippedSummary;
  readonly figures: Figures;
  /** Of those that are means over pictures, by path; 95 %, clustered by picture. */
  readonly intervals: Readonly<Record<string, FigureInterval>>;
  readonly notes: readonly string[];
  /** Where an evaluator finds boxes; results of before have none. */
  readonly shown?: readonly ShownBoxes[];
  /** All that the figures depend on. */
  readonly fingerprint: Fingerprint;
}
