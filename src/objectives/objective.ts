import type { Scalar, Tensor } from '@tensorflow/tfjs';
import type { TensorSpec, Tensors } from '../compile/definition.ts';
import type { TowerOptions } from '../model/layers.ts';
import type { ParameterSpec } from '../model/parameters.ts';
import type { ModelConfig } from '../model/sizes.ts';
import type { TextOutput } from '../model/text-tower.ts';
import type { VisionOutput } from '../model/vision-tower.ts';
import type { Sayings } from './distillation.ts';

/** Something to train for: parameters of its own, arrays that it needs of a batch, and a loss. */
export interface Objective<S extends { readonly weight: number }> {
  /** Trained parameters beyond the towers. */
  parameters(settings: S, model: ModelConfig): readonly ParameterSpec[];
  /** Whether its loss depends on a parameter of the towers; on all of its own it does. What none reads is not trained. */
  reads(tower: string): boolean;
  /** State that is computed and not trained, such as centres. Names are unique over all objectives. */
  state?(settings: S, model: ModelConfig): readonly StateSpec[];
  /**
   * Present when the objective needs the EMA teacher, which holds the vision tower with its MAP head and those of the
   * objective's parameters for which this is true.
   */
  readonly teaches?: (parameter: string) => boolean;
  /**
   * The arrays of a batch that it needs beyond `images` and `tokens`, for `count` examples. The first dimension is a
   * multiple of `count`, the rows of an example together. Objectives that name the same array mean the same one.
   */
  feeds(settings: S, model: ModelConfig, count: number): Readonly<Record<string, TensorSpec>>;
  /**
   * Absent: the loss is a mean over examples, and so is what moves its state, so that micro-batches add up exactly.
   * Present: the loss sees the batch as a whole, through `features.image.pooled`, `features.text.pooled` and these
   * parameters alone.
   */
  readonly wholeBatch?: readonly string[];
  /** Whether a mean over examples reads what losses of whole batches train, logit_scale and logit_bias. */
  readonly readsHead?: true;
  /** Of the arrays of a batch those that such a loss needs of all examples at once: a few numbers of each. */
  wholeFeeds?(settings: S): readonly string[];
  /** What the teacher says of a batch, where the objective needs one. */
  says?(inputs: Pick<ObjectiveInputs<S>, 'settings' | 'teacher' | 'state' | 'features'>): Sayings;
  /** Not yet weighted. */
  loss(inputs: ObjectiveInputs<S>): ObjectiveResult;
}

/** A piece of state that is not trained, and the value that fills it at the start. */
export interface StateSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly value: number;
  /** Each slot of a round has rows of it, which it writes when its lane ends. No step moves it. */
  readonly bySlot?: true;
}

export interface ObjectiveInputs<S> {
  readonly settings: S;
  readonly model: ModelConfig;
  /** How a tower is to be computed where the gradient passes. */
  readonly tower: TowerOptions;
  /** Every trained parameter of the phase. */
  readonly p: Tensors;
  /** The EMA copies, named as the student's parameters; empty when no objective teaches. No gradient reaches them. */
  readonly teacher: Tensors;
  /** By the names of `state`. */
  readonly state: Tensors;
  /** `images` (B, R, R, 3) uint8, `tokens` (B, L) int32, and what `feeds` asks for. */
  readonly feeds: Tensors;
  readonly features: Features;
}

/** Features that several objectives share: each is computed when it is first read, and once. */
export interface Features {
  /** Of the original images: encoded (B N, D), pooled (B, D). */
  readonly image: VisionOutput;
  /** Of the texts: encoded (B L, D), pooled (B, E). */
  readonly text: TextOutput;
  /** Of texts that are wrong for the images, of the feed `negativeTokens` (B K, L): pooled (B K, E). */
  readonly negatives: TextOutput;
  /** The teacher's, of the feed `globalView` (B, R, R, 3) uint8. */
  readonly teacherGlobal: VisionOutput;
}

export interface ObjectiveResult {
  readonly loss: Scalar | Tensor;
  /** Scalars to report; means over examples. */
  readonly metrics?: Tensors;
  /** Arrays with a row for each example, for who trains. */
  readonly rows?: Tensors;
  /** New values of all of its state that steps move, each affine in a mean over the examples: micro-batches are averaged. */
  readonly state?: Tensors;
}

/** What leads to the un-pooled features of an image: its tower without the MAP head. */
export const isEncoder = (name: string): boolean =>
  name.startsWith('vision_model.') && !name.startsWith('vision_model.head.');
