import type { Files } from '../evaluators/job.ts';
import type { ImageSpec } from '../features/spec.ts';
import type { View } from '../features/view.ts';
import type { Lesson } from './lesson.ts';

/** Teaches a decoder for a while, or to its end, and writes what it has become to `out`. Answers null when it was stopped. */
export interface LearnJob {
  readonly kind: 'learn';
  readonly lesson: Lesson;
  /** `lessonHash`. */
  readonly hash: string;
  readonly view: View;
  readonly train: Files<ImageSpec>;
  /** A state to go on from, and the key that it has in the bucket; null: from the beginning. */
  readonly from: { readonly file: string; readonly key: string } | null;
  /** After so many milliseconds of steps the state is written. */
  readonly forMs: number;
  readonly out: string;
}

export interface LearnedPiece {
  readonly step: number;
  /** Whether `out` is the finished decoder, not a state to go on from. */
  readonly done: boolean;
  readonly sha256: string;
}
