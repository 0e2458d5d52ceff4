import type { ObjectStore } from '../storage/object-store.ts';
import { findCommits, firstReadable, newestFirst } from './commits.ts';
import { parseLatest, toDocument, toRef } from './documents.ts';
import { readEnd } from './ends.ts';
import { commitKey, latestKey, type PhaseKey } from './keys.ts';
import { swapDocument } from './swap.ts';
import type { CheckpointRef } from './types.ts';

/**
 * Points `latest.json` at a committed checkpoint, never back in (revision, step); of a phase that has ended at what it
 * ended with. It is a hint for people: no decision of a run rests on it.
 */
export async function moveHint(store: ObjectStore, committed: CheckpointRef): Promise<void> {
  const key = latestKey(committed);
  const end = await readEnd(store, committed);
  const ref = end ?? committed;
  const body = toDocument({ version: 1, ...toRef(ref), commit: commitKey(ref) });
  await swapDocument(store, key, body, (bytes) => {
    const { value: current } = parseLatest(bytes);
    const ahead = current ? current.revision - ref.revision || current.step - ref.step : -1;
    return (ahead > 0 && !end) || (ahead === 0 && current?.manifestSha256 === ref.manifestSha256);
  });
}

/** Points the hint of a phase at its newest readable commit, for when a worker died between the two. */
export async function repairHint(store: ObjectStore, phase: PhaseKey): Promise<void> {
  const newest = await firstReadable(store, newestFirst(await findCommits(store, phase)));
  if (newest) await moveHint(store, newest);
}
