import type { ObjectStore } from '../storage/object-store.ts';
import { findCommits, newestFirst, readCommit } from './commits.ts';
import { isCheckpointDamaged } from './damage.ts';
import { readEnd } from './ends.ts';
import { commitKey, type PhaseKey, parseAttemptKey, parseAttemptPrefix, type StepKey, stepPrefix } from './keys.ts';
import { manifestKey } from './manifest.ts';
import { type Mark, markDoomed, requireWhole } from './marks.ts';
import { pinsOf } from './pins.ts';
import type { Commit } from './types.ts';

export interface Keep {
  /** So many of the newest checkpoints that verify. */
  readonly newest: number;
  /** Steps from which other phases branch off, of any revision. */
  readonly steps: readonly number[];
  /** What a workflow goes on from, whatever its age. */
  readonly used: readonly StepKey[];
  /** The revision that is trained: its checkpoints are the newest, whatever others are called. */
  readonly revision?: number | undefined;
}

/** Deletes the checkpoints of a phase that nobody needs any more, and returns what is gone. */
export async function pruneCheckpoints(store: ObjectStore, phase: PhaseKey, keep: Keep): Promise<StepKey[]> {
  const found = await findCommits(store, phase);
  const kept = new Set([...keep.used, ...(await pinsOf(store, phase))].map(commitKey));
  for (const at of found) if (keep.steps.includes(at.step)) kept.add(commitKey(at));
  const end = await readEnd(store, phase);
  if (end) kept.add(commitKey(end));
  let verified = 0;
  const living = (at: StepKey) => (at.revision === keep.revision ? 0 : 1);
  for (const at of newestFirst(found).sort((a, b) => living(a) - living(b))) {
    // A damaged one is kept while there is none behind it to fall back to.
    if (verified >= keep.newest) break;
    kept.add(commitKey(at));
    if (await isWhole(store, at)) verified++;
  }
  const removed: StepKey[] = [];
  for (const at of found) if (!kept.has(commitKey(at)) && (await deleteCheckpoint(store, at))) removed.push(at);
  return removed;
}

async function isWhole(store: ObjectStore, at: StepKey): Promise<boolean> {
  try {
    await requireWhole(store, await readCommit(store, at));
    return true;
  } catch (error) {
    if (isCheckpointDamaged(error)) return false;
    throw error;
  }
}

/**
 * Takes a checkpoint away: first the commit, so that a reader sees it whole or not at all. False when someone has
 * pinned it meanwhile. Killed on the way, it leaves a whole checkpoint, or objects without a commit, which the next
 * sweep takes.
 */
export async function deleteCheckpoint(store: ObjectStore, at: StepKey): Promise<boolean> {
  const commit = await readable(store, at);
  const marks: Mark[] = [];
  // Which attempt a damaged commit names is not known.
  for (const prefix of commit ? [commit.prefix] : await attemptsAt(store, at))
    marks.push(await markDoomed(store, prefix));
  const lift = async () => {
    for (const mark of marks) await mark.lift();
  };
  if (!(await mayGo(store, at, marks))) {
    await lift();
    return false;
  }
  // Another deletion may have been quicker, and another attempt have committed the step since.
  if ((await readable(store, at))?.prefix !== commit?.prefix) {
    await lift();
    return false;
  }
  await store.purge(commitKey(at));
  // Objects that no commit names any more are the sweep's.
  if (commit) {
    await store.purge(manifestKey(commit.prefix));
    await deletePrefix(store, commit.prefix);
  }
  await lift();
  return true;
}

async function mayGo(store: ObjectStore, at: StepKey, marks: readonly Mark[]): Promise<boolean> {
  if ((await pinsOf(store, at)).some((pin) => commitKey(pin) === commitKey(at))) return false;
  for (const mark of marks) if (!(await mark.decide())) return false;
  return true;
}

/** Null for a commit that is missing or damaged. */
async function readable(store: ObjectStore, at: StepKey): Promise<Commit | null> {
  return readCommit(store, at).catch((error) => {
    if (isCheckpointDamaged(error)) return null;
    throw error;
  });
}

/** The prefixes of all attempts at a step. */
async function attemptsAt(store: ObjectStore, at: StepKey): Promise<string[]> {
  const prefixes = new Set<string>();
  for await (const { key } of store.list(stepPrefix(at))) {
    const attempt = parseAttemptKey(key);
    if (attempt) prefixes.add(attempt.prefix);
  }
  return [...prefixes];
}

/** Deletes what one attempt uploaded, finished or not. */
export async function deletePrefix(store: ObjectStore, prefix: string): Promise<void> {
  // A prefix from outside that is no attempt's would take other things along.
  if (!parseAttemptPrefix(prefix)) return;
  for await (const upload of store.listUploads(prefix)) await store.abortUpload(upload);
  for await (const { key } of store.list(prefix)) await store.purge(key);
  for await (const key of store.listVersioned(prefix)) await store.purge(key);
}
