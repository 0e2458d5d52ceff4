import pRetry from 'p-retry';
import { isRunnerError } from '../../runtime/errors.ts';
import type { ShardStore } from './part-reader.ts';

export interface Patience {
  readonly firstMs: number;
  readonly mostMs: number;
}

/**
 * The same store, whose reads wait through an outage for as long as it lasts: a data loader has nothing better to
 * do. `note` is told about every attempt that failed. Other errors are thrown as they are.
 */
export function patientReads(
  store: ShardStore,
  note: (text: string) => void,
  { firstMs, mostMs }: Patience = { firstMs: 1000, mostMs: 10_000 },
): ShardStore {
  return {
    bucket: store.bucket,
    get: (key, options) =>
      pRetry(() => store.get(key, options), {
        retries: Number.POSITIVE_INFINITY,
        minTimeout: firstMs,
        maxTimeout: mostMs,
        shouldRetry: ({ error }) => isRunnerError(error, 'StorageUnavailable'),
        onFailedAttempt: ({ error, attemptNumber }) => {
          if (!isRunnerError(error, 'StorageUnavailable')) return;
          note(`data: waiting for the store, attempt ${attemptNumber} failed: ${error.message}`);
        },
      }),
  };
}
