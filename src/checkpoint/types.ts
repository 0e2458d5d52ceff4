import type { Position } from '../recipe/position.ts';
import type { Resize } from '../recipe/schema.ts';

/** A file of a snapshot, on local disk or in the bucket. */
export interface StateFile {
  /** Path within the checkpoint, such as model.safetensors. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Of the last step, where it does not say otherwise. In older checkpoints losses are means over up to 50 steps. */
export interface CheckpointMetrics {
  readonly loss: number;
  /** Each objective's loss as `loss/<objective>`, not weighted, and its metrics; older checkpoints have none. */
  readonly objectives?: Readonly<Record<string, number>> | undefined;
  /** Learning rate, norm of the gradient and so on, and means since the last record as `<name>/mean`. */
  readonly figures?: Readonly<Record<string, number>> | undefined;
  /** The steps since the last record, where there are any: their record is made later. */
  readonly since?: StepSums | undefined;
  readonly examplesPerSecond: number;
  /** Share of the time in which a step waited for its batch, 0 to 1. */
  readonly dataWaitShare: number;
}

/** Figures of some steps, added one after another. */
export interface StepSums {
  readonly steps: number;
  readonly sums: Readonly<Record<string, number>>;
  readonly maxLoss: number;
}

/** Who a round was merged of: given this, what came of it is a pure function of where it began. */
export interface RoundMembers {
  /** The step that it began from. */
  readonly from: number;
  /** Slots that its steps were shared among. */
  readonly slots: number;
  readonly members: readonly {
    readonly slot: number;
    /** Its weight in the mean. */
    readonly examples: number;
    readonly steps: number;
    /** Of the changes that it handed in. */
    readonly sha256: string;
    readonly attempt: string;
    /** Examples a second over its steps, where the next round is dealt by it and it is known. */
    readonly pace?: number | undefined;
  }[];
  /** Steps of the lane of each slot, where they were dealt by pace: of those that are late too. */
  readonly lengths?: readonly number[] | undefined;
  /** Slots that came too late: the phase was not trained on their steps. */
  readonly late: readonly number[];
  /** What leads here from its parent, among what was handed in, as long as that is kept; older manifests don't say. */
  readonly merged?: readonly (StateFile & { readonly attempt: string })[] | undefined;
}

/** `manifest.json`: every object of a checkpoint, and where it comes from. */
export interface Manifest extends Position {
  readonly version: 1;
  readonly run: string;
  readonly phase: string;
  readonly revision: number;
  /** Object prefix, ending in /. */
  readonly prefix: string;
  /** Parameters, moments and so on: what `checkpoint.sha256` covers. */
  readonly state: readonly StateFile[];
  /** config.json, preprocessor_config.json and so on: verified, outside `checkpoint.sha256`. */
  readonly sidecars: readonly StateFile[];
  /** sha256 over the sorted (path, sha256) of the state files. */
  readonly sha256: string;
  readonly parent: CheckpointRef | null;
  readonly recipeHash: string;
  readonly codeVersion: string;
  readonly dataFingerprint: string;
  /** Of the settings that it was trained with, `data/<phase>-settings-<first 16>.json`; older checkpoints have none. */
  readonly settingsSha256?: string | undefined;
  readonly skipped: readonly { readonly shard: string; readonly name: string; readonly reason: string }[];
  /** How often the phase has passed over an example without a text in a language that it draws; older manifests don't say. */
  readonly filtered?: number | undefined;
  readonly metrics: CheckpointMetrics;
  /** Threads and kind of the CPU that trained it; absent where that was a GPU, and in older manifests. */
  readonly cpu?: { readonly threads: number; readonly kind: string } | undefined;
  /** Numbers that matrices were multiplied in, and whether XLA compiled the whole step; older manifests don't say. */
  readonly precision?: 'f32' | 'bf16' | undefined;
  readonly xla?: 'off' | 'on' | undefined;
  /** Where it was merged of replicas: who was in. */
  readonly round?: RoundMembers | undefined;
  /** How pictures became squares; where it is not said, as big_vision does. */
  readonly resize?: Resize | undefined;
  readonly attempt: string;
  readonly created: string;
}

/** What is passed between activities: small, and enough to fetch and verify a checkpoint. */
export interface CheckpointRef extends Position {
  readonly run: string;
  readonly phase: string;
  readonly revision: number;
  readonly prefix: string;
  readonly manifestSha256: string;
  readonly sha256: string;
}

/** The commit object. The checkpoint exists when this does. */
export interface Commit extends CheckpointRef {
  readonly version: 1;
  /** Hash over (parent manifest, effective settings, data fingerprint, from and to step). */
  readonly inputHash: string;
  readonly attempt: string;
  readonly metrics: CheckpointMetrics;
  readonly committed: string;
}
