import type { DataSettings } from './schema.ts';
import type { NaflexBatches } from './steps.ts';

/** Everything, with the index, that fixes the content of batch k. */
export interface BatchPlan {
  readonly seed: number;
  readonly phase: string;
  readonly batch: number;
  /** Examples of a super-batch, of which a phase with curation trains on `batch`: batches are made of so many. */
  readonly candidates?: number;
  readonly resolution: number;
  readonly textLength: number;
  readonly data: DataSettings;
  /** Sorted token ids that the compacted table holds, or null for the full table. */
  readonly vocabulary: readonly number[] | null;
  /** As in ModelConfig; none where the table is compacted. */
  readonly addedTokens?: readonly string[];
  /** As in StepSettings. */
  readonly offset?: number;
  /** Images keep their shape, and are cut into patches. */
  readonly naflex?: NaflexBatches & { readonly patch: number };
  /** What objectives need of an example beyond its image and its text. */
  readonly parts?: BatchPartSettings;
}

/** The parts that a plan asks for, with their settings: see `src/data/batches/batch-parts.ts`. */
export interface BatchPartSettings {
  readonly captionTargets?: CaptionTargets;
  readonly globalView?: Readonly<Record<never, never>>;
  readonly localViews?: LocalViews;
  readonly maskedPatches?: MaskedPatches;
  /** What examples may have in common. */
  readonly groups?: { readonly anyText?: true };
  readonly hardNegatives?: HardNegatives;
  /** Which picture an example shows, where its embedding is kept. */
  readonly pictures?: Readonly<Record<never, never>>;
  readonly teacherScores?: TeacherScores;
  readonly teacherView?: { readonly resolution: number };
}

/** Numbers of an example in `groups`: of its text, its class and its picture. */
export const groupsOfExample = 3;
/** Numbers of an example in `pictures`: 128 bits. */
export const pictureWidth = 4;
/** Texts of an example that those of others may be. */
export const textsOfExample = 16;

/** Numbers of an example: where any of its texts counts, also of the text as its data has it, and of each of its first texts. */
export const groupsWidth = ({ anyText }: { readonly anyText?: true | undefined }): number =>
  groupsOfExample + (anyText ? 1 + textsOfExample : 0);

export interface CaptionTargets {
  /** Share of the captions that are predicted all at once. */
  readonly parallel: number;
  /** Which fields of a text with a box count: both, or what is asked for alone (spec 3.2). */
  readonly lossOn: 'both' | 'second';
}

export interface HardNegatives {
  /** Of an example, at most. */
  readonly texts: number;
}

export interface LocalViews {
  readonly views: number;
  /** Side in pixels. */
  readonly resolution: number;
}

export interface MaskedPatches {
  readonly patches: number;
  /** How many of them are masked. */
  readonly count: number;
}

export interface TeacherScores {
  /** The ScoreIndex in the bucket: thousands of shards would not do in settings. */
  readonly scores: { readonly key: string; readonly sha256: string };
  /** Of an embedding. */
  readonly width: number;
}
