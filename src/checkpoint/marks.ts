import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import { lookAgain } from '../storage/look-again.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { type BaseKey, baseFile, baseMarksPrefix, stateKey } from './base-files.ts';
import { checkpointDamaged } from './damage.ts';
import { parseWith, readDocument, toDocument } from './documents.ts';
import { marksPrefix, parseAttemptPrefix } from './keys.ts';
import { readManifest } from './manifest.ts';
import type { CheckpointRef, Manifest } from './types.ts';

/**
 * How who deletes a checkpoint and who relies on it never both have their way, whoever dies on the way. Who deletes
 * writes a mark beside the attempt, looks then whether something speaks for it (its commit, a pin), and turns the mark
 * from `looks` to `deletes`: only then something goes. Who relies on a checkpoint has written what speaks for it
 * before, and looks for marks then: from one that `looks` it takes the right to delete; under one that `deletes`
 * nothing is relied on. Both turns are by compare-and-swap, so one of the two sees the other.
 */

const markSchema = z.object({ version: z.literal(1), state: z.enum(['looks', 'deletes', 'held']) });
type State = z.infer<typeof markSchema>['state'];

const bodyOf = (state: State) => toDocument({ version: 1, state });
const json = { contentType: 'application/json' };

/** Longer than any deletion takes. A mark that is older is of one that was killed, and holds nobody up any more. */
export const markMs = 24 * 3_600_000;

/** A deletion that is not decided yet. */
export interface Mark {
  /** To be called when nothing speaks for the attempt: whether it may be deleted. */
  decide(): Promise<boolean>;
  /** To be called when all is deleted, or nothing is to be. */
  lift(): Promise<void>;
}

/** Says that what an attempt uploaded is about to be deleted. */
export async function markDoomed(store: ObjectStore, prefix: string): Promise<Mark> {
  const at = parseAttemptPrefix(prefix);
  if (!at) throw new RunnerError('StorageRefused', `${prefix} is no attempt's, so it is not deleted`);
  return markIn(store, marksPrefix(at));
}

/** Says that what the checkpoints of a phase have in common is about to be deleted. */
export function markBaseDoomed(store: ObjectStore, at: BaseKey): Promise<Mark> {
  return markIn(store, baseMarksPrefix(at));
}

async function markIn(store: ObjectStore, folder: string): Promise<Mark> {
  const key = `${folder}${randomBytes(6).toString('hex')}.json`;
  const { etag } = await store.put(key, bodyOf('looks'), json);
  return {
    decide: () => swap(store, key, 'deletes', etag),
    lift: () => store.purge(key),
  };
}

/**
 * The manifest of a checkpoint that can be relied on from now on: all of it is there, and nobody is about to delete
 * it. To be called when what speaks for it is written. `CheckpointDamaged` otherwise.
 */
export async function requireHeld(store: ObjectStore, ref: CheckpointRef): Promise<Manifest> {
  const at = parseAttemptPrefix(ref.prefix);
  if (at) await revokeAll(store, marksPrefix(at), checkpointDamaged(ref, ref.prefix, 'is being deleted'));
  const { manifest } = await readManifest(store, ref);
  for (const file of manifest.state.filter(({ path }) => path === baseFile)) {
    const gone = checkpointDamaged(ref, stateKey(manifest, file), 'is being deleted');
    await revokeAll(store, baseMarksPrefix({ ...manifest, sha256: file.sha256 }), gone);
  }
  // After the marks: a deletion that ended meanwhile took its mark away last.
  return requireWhole(store, ref);
}

/** The manifest of a checkpoint of which every object is there with its size; bytes are hashed by whoever reads them. */
export async function requireWhole(store: ObjectStore, ref: CheckpointRef): Promise<Manifest> {
  const { manifest } = await readManifest(store, ref);
  for (const file of [...manifest.state, ...manifest.sidecars])
    await lookAgain(async () => {
      const found = await store.head(stateKey(manifest, file));
      if (found?.bytes === file.bytes) return;
      const problem = found ? `has ${found.bytes} bytes, and ${file.bytes} were committed` : 'is missing';
      throw checkpointDamaged(ref, stateKey(manifest, file), problem);
    });
  return manifest;
}

async function revokeAll(store: ObjectStore, marks: string, deleted: Error): Promise<void> {
  for await (const { key } of store.list(marks)) if (!(await revoke(store, key))) throw deleted;
}

/** Takes the right to delete from a mark; false when it is used already. */
async function revoke(store: ObjectStore, key: string): Promise<boolean> {
  for (;;) {
    const found = await readDocument(store, key);
    // The deletion has ended, or was none.
    if (!found) return true;
    const state = 'bytes' in found ? parseWith(markSchema, found.bytes).value?.state : undefined;
    if (state === 'held') return true;
    if (state !== 'looks') return false;
    if (await swap(store, key, 'held', found.etag)) return true;
  }
}

async function swap(store: ObjectStore, key: string, state: State, etag: string): Promise<boolean> {
  try {
    await store.put(key, bodyOf(state), { ifMatch: etag, ...json });
    return true;
  } catch (error) {
    if (isRunnerError(error, 'PreconditionFailed') || isRunnerError(error, 'ObjectMissing')) return false;
    throw error;
  }
}
