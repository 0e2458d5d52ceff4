/**
 * Every failure that a user can meet, by name. A class decides once whether trying again can help;
 * `activities/failures.ts` maps it to Temporal. Messages say what was got, what is allowed and what to
 * type next, and never hold credentials.
 */
export type ErrorCode =
  | 'RecipeInvalid' // the recipe, or a setting, is wrong: all problems in one message
  | 'DataContract' // the data set is not what the recipe says, or changed within a phase
  | 'BucketMissing'
  | 'CredentialsRefused'
  | 'StorageUnavailable' // the only storage error worth a retry
  | 'StorageRefused' // the store will not do this, and trying again can't help
  | 'ConditionalWritesMissing'
  | 'PreconditionFailed' // a conditional write lost: someone else wrote first
  | 'ObjectMissing'
  | 'DiskFull'
  | 'SnapshotChanged' // a local file is not what was written
  | 'CheckpointDamaged'
  | 'RunNameTaken'
  | 'TwoRunsUnderOneName'
  | 'TrainerCrashed'
  | 'TrainerStuck'
  | 'DeviceMissing'
  | 'DeviceBusy' // another worker has it, which may be about to end
  | 'NonFinite' // a step that can't be gone on from: what is wrong, the details of one of training say as `kind`
  | 'LimitReached' // what a shard may cost would be passed before it has a checkpoint
  | 'RunWaits' // a phase failed, and waits for a person
  | 'SetupMissing';

const retryable: ReadonlySet<ErrorCode> = new Set([
  'StorageUnavailable',
  'SnapshotChanged', // the steps since the last commit are trained again
  'TrainerCrashed',
  'TrainerStuck',
  'DeviceBusy',
]);

/** An expected failure. `code` is stable and may be matched on; `message` is one clear sentence. */
export class RunnerError extends Error {
  override readonly name = 'RunnerError';
  readonly code: ErrorCode;
  /** Small JSON for programs, such as `{step: 400}`. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  get retryable(): boolean {
    return retryable.has(this.code);
  }
}

/** True for a `RunnerError`, and with `code` only for that one. */
export function isRunnerError(error: unknown, code?: ErrorCode): error is RunnerError {
  return error instanceof RunnerError && (code === undefined || error.code === code);
}
