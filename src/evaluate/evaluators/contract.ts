import type { CaptionTask } from '../../recipe/caption-tasks.ts';
import type { Lesson } from '../decoder/lesson.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import type { PartFile } from '../features/part-file.ts';
import type { View } from '../features/view.ts';
import type { Matrix } from '../numbers/matrix.ts';
import type { Pause } from '../numbers/pause.ts';

/** Figures by name; shares are fractions of one. */
export interface Figures {
  readonly [name: string]: number | Figures;
}

/** What came of single examples, for intervals and for comparing two models on the same ones. */
export interface Outcome {
  /** One value an example, or several; their mean is the figure of the same name. */
  readonly values: Float32Array;
  /** Of each the number of its picture: values of one picture are not independent. */
  readonly pictures: Int32Array;
}

/** [top, left, bottom, right] in shares of the sides. */
type Box = readonly [number, number, number, number];

/** A picture of the test set with boxes that were found in it beside the true ones, for people. */
export interface ShownBoxes {
  readonly shard: string;
  readonly name: string;
  /** `truth` null: there is none; `found` null: nothing was found. */
  readonly boxes: readonly { readonly text: string; readonly truth: Box | null; readonly found: Box | null }[];
}

/** Of each evaluator that finds boxes. */
export const mostShown = { pictures: 8, boxes: 8 };

/** What an evaluator found at one view. */
export interface Found {
  readonly figures: Figures;
  /** Sentences on what was left out and why. */
  readonly notes: readonly string[];
  /** By the path of a figure, its parts joined by a dot. */
  readonly outcomes: Readonly<Record<string, Outcome>>;
  /** Of an evaluator that finds boxes: of at most 8 pictures. */
  readonly shown?: readonly ShownBoxes[];
}

/** What an evaluator is fed. All of it comes from features that are stored: no evaluator sees a picture or a model. */
export interface EvaluatorInput {
  readonly view: View;
  readonly test: FeatureSet;
  /** What it may learn from; only for an evaluator that needs it. */
  readonly train: FeatureSet | null;
  /** Names of the classes and the embedding of each; null where the task names none. */
  readonly classes: { readonly names: readonly string[]; readonly rows: Matrix } | null;
  /** What came of the lesson; only for an evaluator that has one. */
  readonly learned?: PartFile;
  readonly languages: readonly string[];
  readonly seed: number;
  readonly device: 'cpu' | 'gpu';
  /** To be called every second or so: messages get through, and the end of an evaluation that nobody wants any more. */
  readonly pause: Pause;
}

/** Which features are to be made for an evaluator. */
export interface Needs {
  readonly captions?: boolean;
  readonly classes?: boolean;
  readonly train?: boolean;
  readonly patches?: boolean;
  /** Groups, boxes, questions of `PartExample.truth`, and the size of the picture beside them. */
  readonly truth?: boolean;
  /** Captions as texts: `PartExample.texts`. */
  readonly texts?: boolean;
  /** What the trained decoder of the model says: `PartExample.said`. */
  readonly said?: readonly CaptionTask[];
  /** Scale and bias of the logits of the model. */
  readonly head?: boolean;
  /** Each patch as the MAP head makes it alone, where texts lie: `aligned/<view>` of a part. */
  readonly aligned?: boolean;
  /** Truth of each pixel, in its own size: `mask`, `depth`, `normals` of a part, and `<kind>/sizes`. */
  readonly mask?: boolean;
  readonly depth?: boolean;
  readonly normals?: boolean;
}

/**
 * The contract of all evaluators: a pure function of features and settings. `protocol` says what else the figures depend on,
 * for their fingerprint: how ties count, for example.
 */
export interface Evaluator<Settings> {
  /** `named`: whether the task names classes. */
  needs(named: boolean, settings: Settings): Needs;
  protocol(settings: Settings, seed: number): Readonly<Record<string, string | number | boolean>>;
  /**
   * What a fresh decoder learns from `train` before `evaluate` is called with it: hours at the size of the paper, so it is
   * kept in the bucket on the way.
   */
  lesson?(settings: Settings, of: { readonly languages: readonly string[]; readonly seed: number }): Lesson;
  evaluate(input: EvaluatorInput, settings: Settings): Promise<Found>;
}
