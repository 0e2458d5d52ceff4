import { setTimeout as delay } from 'node:timers/promises';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { readDocument } from './documents.ts';

/** Enough for many writers at once; each round has a winner. */
const rounds = 20;

/**
 * Puts a document in place of what is there, by compare-and-swap: whoever was first is looked at again. `stays` says of
 * readable bytes whether they need no other. A body that follows from what lies elsewhere is made after each look.
 * StorageUnavailable when it keeps changing.
 */
export async function swapDocument(
  store: ObjectStore,
  key: string,
  body: Buffer | (() => Promise<Buffer>),
  stays: (bytes: Buffer, own: Buffer) => boolean,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const found = await readDocument(store, key);
    const own = typeof body === 'function' ? await body() : body;
    if (found && 'bytes' in found && stays(found.bytes, own)) return;
    try {
      await store.put(key, own, {
        contentType: 'application/json',
        ...(found === null ? { ifAbsent: true } : { ifMatch: found.etag }),
      });
      return;
    } catch (error) {
      // Another one changed it, or removed it: look again.
      if (!isRunnerError(error, 'PreconditionFailed') && !isRunnerError(error, 'ObjectMissing')) throw error;
      await delay(10 * (round + 1) * Math.random());
    }
  }
  throw new RunnerError('StorageUnavailable', `${key} kept changing while it was written; it is tried again later`);
}
