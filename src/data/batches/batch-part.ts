import type { BatchPlan } from '../../recipe/batch-plan.ts';
import type { Caption } from '../example/captions.ts';
import type { Box, Pixels } from '../example/pixels.ts';
import type { TextTokenizer } from '../example/tokenizer.ts';
import type { ExampleMeta } from '../example/types.ts';
import type { ExampleRef } from './order.ts';
import type { ScoreReader } from './score-reader.ts';

/** Arrays that objectives need of an example beyond its image and its text, such as augmented views. */
export interface BatchPart<S> {
  /** What one example takes of each array, by the name of the feed. */
  arrays(settings: S, plan: BatchPlan): Readonly<Record<string, PartArray>>;
  /**
   * Fills the place of one example in each array (zeros before): a pure function of the example and of (plan.seed,
   * plan.phase, example.k), so that any resume draws the same. Throws `CorruptExample` for what can't be used.
   */
  fill(
    example: PartExample,
    settings: S,
    plan: BatchPlan,
    out: Readonly<Record<string, PartValues>>,
  ): void | Promise<void>;
}

export type PartValues = Uint8Array | Int32Array | Float32Array;

export interface PartArray {
  readonly dtype: 'uint8' | 'int32' | 'float32';
  /** Elements of one example. */
  readonly size: number;
}

export interface PartExample extends Caption {
  /** Its number in the endless order of examples: what random streams count by. */
  readonly k: number;
  /** The example that was used: another than the order's k-th where that can't be used. */
  readonly ref: ExampleRef;
  readonly pixels: Pixels;
  readonly meta: ExampleMeta;
  /** The part of the image that is seen, in its pixels. */
  readonly crop: Box;
  /** Its ids are rows of the token table, compacted when the plan has a vocabulary. */
  readonly tokenizer: TextTokenizer;
  /** Null when the batches have no stored scores. */
  readonly scores: ScoreReader | null;
}
