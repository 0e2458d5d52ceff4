import { setTimeout as delay } from 'node:timers/promises';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { findCommits, firstReadable, newestFirst } from './commits.ts';
import { parseLatest, readDocument, toDocument, toRef } from './documents.ts';
import { readEnd } from './ends.ts';
import { commitKey, latestKey, type PhaseKey } from './keys.ts';
import type { CheckpointRef } from './types.ts';

/** Enough for many writers at once; each round has a winner. */
const rounds = 20;

/**
 * Points `latest.json` at a committed checkpoint, never back in (revision, step); of a phase that has ended at what it
 * ended with. It is a hint for people: no decision of a run rests on it.
 */
export async function moveHint(store: ObjectStore, committed: CheckpointRef): Promise<void> {
  const key = latestKey(committed);
  const end = await readEnd(store, committed);
  const ref = end ?? committed;
  const body = toDocument({ version: 1, ...toRef(ref), commit: commitKey(ref) });
  for (let round = 0; round < rounds; round++) {
    const found = await readDocument(store, key);
    if (found && 'bytes' in found) {
      const { value: current } = parseLatest(found.bytes);
      const ahead = current ? current.revision - ref.revision || current.step - ref.step : -1;
      if ((ahead > 0 && !end) || (ahead === 0 && current?.manifestSha256 === ref.manifestSha256)) return;
    }
    try {
      await store.put(key, body, {
        contentType: 'application/json',
        ...(found === null ? { ifAbsent: true } : { ifMatch: found.etag }),
      });
      return;
    } catch (error) {
      // Another one moved it, or removed it: look again.
      if (!isRunnerError(error, 'PreconditionFailed') && !isRunnerError(error, 'ObjectMissing')) throw error;
      await delay(10 * (round + 1) * Math.random());
    }
  }
  throw new RunnerError('StorageUnavailable', `${key} kept changing while it was to be moved; it is tried again later`);
}

/** Points the hint of a phase at its newest readable commit, for when a worker died between the two. */
export async function repairHint(store: ObjectStore, phase: PhaseKey): Promise<void> {
  const newest = await firstReadable(store, newestFirst(await findCommits(store, phase)));
  if (newest) await moveHint(store, newest);
}
