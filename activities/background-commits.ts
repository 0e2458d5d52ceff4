import { rm } from 'node:fs/promises';
import pRetry from 'p-retry';
import { isRunnerError } from '../src/runtime/errors.ts';
import type { Snapshot } from '../src/trainer/protocol.ts';

export interface BackgroundCommits {
  /** Takes a snapshot over: its folder is deleted when it is committed, or overtaken. Never throws. */
  add(snapshot: Snapshot): void;
  /** Resolves when nothing is left to commit; rejects with the failure that ended it. */
  drained(): Promise<void>;
}

export interface BackgroundOptions {
  readonly commit: (snapshot: Snapshot) => Promise<void>;
  /** Told of each attempt that failed and will be made again. */
  readonly onTrouble: (message: string) => void;
  /** Told when nothing more will be committed. */
  readonly onFailure: (error: unknown) => void;
  /** Ends the waiting for a store that is away. */
  readonly giveUp: AbortSignal;
  readonly retryMs?: number;
}

/**
 * Commits snapshots while training goes on, one at a time. Of several that wait the newest counts: on a slow link
 * the disk never fills with snapshots. An outage of the store is waited for.
 */
export function commitInBackground(options: BackgroundOptions): BackgroundCommits {
  const { commit, onTrouble, onFailure, giveUp, retryMs = 1000 } = options;
  let waiting: Snapshot | null = null;
  let working: Promise<void> | null = null;
  let failure: { readonly error: unknown } | null = null;

  async function work(): Promise<void> {
    for (let next = take(); next; next = take()) {
      const snapshot = next;
      try {
        await pRetry(() => commit(snapshot), {
          retries: Number.POSITIVE_INFINITY,
          minTimeout: retryMs,
          maxTimeout: 30 * retryMs,
          randomize: true,
          signal: giveUp,
          shouldRetry: ({ error }) => isRunnerError(error, 'StorageUnavailable'),
          onFailedAttempt: ({ error }) => {
            if (isRunnerError(error, 'StorageUnavailable')) onTrouble(error.message);
          },
        });
      } catch (error) {
        failure = { error };
        onFailure(error);
      } finally {
        await discard(snapshot);
      }
    }
  }

  function take(): Snapshot | null {
    const next = waiting;
    waiting = null;
    if (next === null || failure === null) return next;
    void discard(next);
    return null;
  }

  return {
    add(snapshot) {
      if (waiting) void discard(waiting);
      waiting = snapshot;
      working ??= work().finally(() => {
        working = null;
      });
    },
    async drained() {
      while (working) await working;
      if (failure) throw failure.error;
    },
  };
}

async function discard(snapshot: Snapshot): Promise<void> {
  await rm(snapshot.folder, { recursive: true, force: true }).catch(() => {});
}
