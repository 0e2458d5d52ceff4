import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { findCommits, readCommit } from './commits.ts';
import { isCheckpointDamaged } from './damage.ts';
import { parseRun, readDocument, toDocument } from './documents.ts';
import { runKey } from './keys.ts';
import { readManifest } from './manifest.ts';

/**
 * Takes the name of a run for a recipe. Whoever starts it again with the same recipe goes on with it; with another
 * recipe it is `RunNameTaken`. `recipe` is kept beside the hash, for people.
 */
export async function claimRun(
  store: ObjectStore,
  run: string,
  recipeHash: string,
  recipe?: unknown,
): Promise<{ created: boolean }> {
  const key = runKey(run);
  const body = toDocument({ version: 1, run, recipeHash, created: new Date().toISOString(), recipe });
  try {
    await store.put(key, body, { ifAbsent: true, contentType: 'application/json' });
    return { created: true };
  } catch (error) {
    if (!isRunnerError(error, 'PreconditionFailed')) throw error;
  }
  const found = await readDocument(store, key);
  if (!found) throw new RunnerError('StorageUnavailable', `${key} is refused and yet absent; it is tried again later`);
  const { value: claimed, problem } = 'bytes' in found ? parseRun(found.bytes) : { problem: found.problem };
  if (claimed?.recipeHash === recipeHash) return { created: false };
  if (problem === undefined)
    throw new RunnerError(
      'RunNameTaken',
      `the run name ${run} is taken by a run with another recipe (${key}); start under another --workflow-id, or with the recipe that it began with`,
    );
  if ((await recipeOfCheckpoints(store, run)) !== recipeHash)
    throw new RunnerError(
      'RunNameTaken',
      `the run name ${run} is taken by an object that is no run (${key}: ${problem}); start under another --workflow-id`,
    );
  // Damaged: what the checkpoints say is written down again. Another start of the same recipe may be quicker.
  await store.put(key, body, { ifMatch: found.etag, contentType: 'application/json' }).catch((error) => {
    if (!isRunnerError(error, 'PreconditionFailed')) throw error;
  });
  return { created: false };
}

/** The hash of the recipe that the checkpoints of a run were made by; null when none of them can be read. */
async function recipeOfCheckpoints(store: ObjectStore, run: string): Promise<string | null> {
  for (const at of await findCommits(store, { run })) {
    try {
      return (await readManifest(store, await readCommit(store, at))).manifest.recipeHash;
    } catch (error) {
      if (!isCheckpointDamaged(error)) throw error;
    }
  }
  return null;
}
