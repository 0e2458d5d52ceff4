import type { ObjectStore } from '../storage/object-store.ts';
import { findCommits, readCommit } from './commits.ts';
import { isCheckpointDamaged } from './damage.ts';
import { toDocument } from './documents.ts';
import { attemptPrefix, commitKey, type PhaseKey, parseAttemptKey, phasePrefix, type StepKey } from './keys.ts';
import { manifestKey, readManifest } from './manifest.ts';
import { pinsOf } from './pins.ts';

export interface Keep {
  /** So many of the newest checkpoints that verify. */
  readonly newest: number;
  /** Steps from which other phases branch off, of any revision. */
  readonly steps: readonly number[];
  /** What a workflow goes on from, whatever its age. */
  readonly used: readonly StepKey[];
}

/** After a point of the deletion; a test may throw here, as a process may die. */
export type DeletionPoint = (point: 'looked' | 'commit' | 'manifest') => void | Promise<void>;

/** Deletes the checkpoints of a phase that nobody needs any more, and returns what is gone. */
export async function pruneCheckpoints(store: ObjectStore, phase: PhaseKey, keep: Keep): Promise<StepKey[]> {
  const found = await findCommits(store, phase);
  const kept = new Set([...keep.used, ...(await pinsOf(store, phase))].map(commitKey));
  for (const at of found) if (keep.steps.includes(at.step)) kept.add(commitKey(at));
  let verified = 0;
  for (const at of newestFirst(found)) {
    // A damaged one is kept while there is none behind it to fall back to.
    if (verified >= keep.newest) break;
    kept.add(commitKey(at));
    if (await isWhole(store, at)) verified++;
  }
  const removed: StepKey[] = [];
  for (const at of found) if (!kept.has(commitKey(at)) && (await deleteCheckpoint(store, at))) removed.push(at);
  return removed;
}

export const newestFirst = (found: readonly StepKey[]): StepKey[] =>
  [...found].sort((a, b) => b.revision - a.revision || b.step - a.step);

/** Whether every object that a commit names is there with its size; bytes are hashed by whoever reads them. */
async function isWhole(store: ObjectStore, at: StepKey): Promise<boolean> {
  try {
    const { manifest } = await readManifest(store, await readCommit(store, at));
    for (const { path, bytes } of [...manifest.state, ...manifest.sidecars])
      if ((await store.head(manifest.prefix + path))?.bytes !== bytes) return false;
    return true;
  } catch (error) {
    if (isCheckpointDamaged(error)) return false;
    throw error;
  }
}

/**
 * Takes a checkpoint away: first the commit, so that a reader sees it whole or not at all. A pin that appears while
 * the commit goes puts it back; false is returned then. Killed on the way, it leaves objects without a commit, which
 * the next sweep takes.
 */
export async function deleteCheckpoint(
  store: ObjectStore,
  at: StepKey,
  onPoint: DeletionPoint = () => {},
): Promise<boolean> {
  const pinned = async () => (await pinsOf(store, at)).some((pin) => commitKey(pin) === commitKey(at));
  const commit = await readCommit(store, at).catch((error) => {
    if (isCheckpointDamaged(error)) return null;
    throw error;
  });
  if (await pinned()) return false;
  await onPoint('looked');
  await store.purge(commitKey(at));
  await onPoint('commit');
  if (commit && (await pinned())) {
    await store.put(commitKey(at), toDocument(commit), { contentType: 'application/json' });
    return false;
  }
  // What a damaged commit named is not known; objects that no commit names are the sweep's.
  if (!commit) return true;
  await store.purge(manifestKey(commit.prefix));
  await onPoint('manifest');
  await deletePrefix(store, commit.prefix);
  return true;
}

/** Deletes what one attempt uploaded, finished or not. */
export async function deletePrefix(store: ObjectStore, prefix: string): Promise<void> {
  // A prefix from outside that is no attempt's would take other things along.
  const at = parseAttemptKey(`${prefix}-`);
  if (!at || attemptPrefix(at) !== prefix || !prefix.startsWith(phasePrefix(at))) return;
  for await (const upload of store.listUploads(prefix)) await store.abortUpload(upload);
  for await (const { key } of store.list(prefix)) await store.purge(key);
  for await (const key of store.listVersioned(prefix)) await store.purge(key);
}
