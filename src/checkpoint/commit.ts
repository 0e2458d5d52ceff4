import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { counted } from '../runtime/count-text.ts';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import { hashJson, sha256 } from '../runtime/hash.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { baseFile, stateKey } from './base-files.ts';
import { readCommit } from './commits.ts';
import { isCheckpointDamaged, nameOf } from './damage.ts';
import { parseCommit, parseManifest, readDocument, toDocument, toRef } from './documents.ts';
import { moveHint } from './hint.ts';
import { checkpointSha256 } from './identity.ts';
import { attemptPrefix, commitKey } from './keys.ts';
import { manifestKey } from './manifest.ts';
import { requireHeld } from './marks.ts';
import type { CheckpointRef, Commit, Manifest, StateFile } from './types.ts';

/** A snapshot on local disk, and everything that its manifest and its commit say. */
export interface CheckpointToCommit extends Omit<Manifest, 'version' | 'prefix' | 'sidecars' | 'sha256' | 'created'> {
  /** Local folder of the state files. */
  readonly folder: string;
  /** Small files beside the state, such as config.json. */
  readonly sidecars: readonly { readonly path: string; readonly content: Uint8Array | string }[];
  /** Hash over (parent manifest, effective settings, data fingerprint, skip list, from and to step). */
  readonly inputHash: string;
}

export type CommitPoint = 'objects' | 'manifest' | 'commit' | 'hint';

export interface CommitOptions {
  readonly signal?: AbortSignal;
  /** Called when a point of the protocol is behind; a test may throw here, as a process may die. */
  readonly onPoint?: (point: CommitPoint) => void | Promise<void>;
}

export interface CommitOutcome {
  readonly commit: Commit;
  readonly ref: CheckpointRef;
  /** Another attempt had committed this step from the same inputs: its state counts, and may differ in bits. */
  readonly adopted: boolean;
}

/** How often a checkpoint is uploaded anew, each time elsewhere, when someone deletes it under the upload. */
const rounds = 3;

/**
 * Uploads a snapshot and makes it a checkpoint, which exists when its commit object does. Safe to call again after
 * any failure, with the same attempt or another: one commit stands for a step, whoever wins. `TwoRunsUnderOneName`
 * when the step was committed from other inputs.
 */
export async function commitCheckpoint(
  store: ObjectStore,
  checkpoint: CheckpointToCommit,
  options: CommitOptions = {},
): Promise<CommitOutcome> {
  const { onPoint } = options;
  const names = Array.from({ length: rounds }, (_, i) => (i === 0 ? checkpoint.attempt : `${checkpoint.attempt}.${i}`));
  for (const attempt of names) {
    const commit =
      (await existing(store, checkpoint)) ?? (await uploadAndCommit(store, { ...checkpoint, attempt }, options));
    if (!commit) continue;
    await onPoint?.('commit');
    const adopted = !names.includes(commit.attempt);
    try {
      // An adopted checkpoint is what the next step starts from: it must be there.
      await requireHeld(store, commit);
    } catch (error) {
      if (adopted || !isCheckpointDamaged(error)) throw error;
      await takeBack(store, commit);
      continue;
    }
    await moveHint(store, commit);
    await onPoint?.('hint');
    return { commit, ref: toRef(commit), adopted };
  }
  throw new RunnerError(
    'StorageUnavailable',
    `${nameOf(checkpoint)} was swept ${counted(rounds, 'time')} before it was committed; it is uploaded again`,
  );
}

/** The commit that stands for the step then; null when what was uploaded can't be committed: not under this name. */
async function uploadAndCommit(
  store: ObjectStore,
  checkpoint: CheckpointToCommit,
  { signal, onPoint }: CommitOptions,
): Promise<Commit | null> {
  const prefix = attemptPrefix(checkpoint);
  const uploaded: string[] = [];
  const manifest = manifestOf(checkpoint, prefix);
  for (const file of checkpoint.state) {
    const { path, sha256, bytes } = file;
    const key = stateKey(manifest, file);
    // What other checkpoints name too is there already, and stays when this one is taken back.
    if (path === baseFile && (await store.head(key))?.bytes === bytes) continue;
    await store.putFile(key, join(checkpoint.folder, path), { sha256, ...(signal ? { signal } : {}) });
    if (path !== baseFile) uploaded.push(key);
  }
  for (const { path, content } of checkpoint.sidecars) {
    await store.put(prefix + path, content);
    uploaded.push(prefix + path);
  }
  await onPoint?.('objects');
  signal?.throwIfAborted();
  const manifestSha256 = await putManifest(store, manifest);
  if (manifestSha256 === null) return null;
  uploaded.push(manifestKey(prefix));
  await onPoint?.('manifest');
  signal?.throwIfAborted();
  const commit = await putCommit(store, checkpoint, manifest, manifestSha256).catch(async (error) => {
    if (isRunnerError(error, 'TwoRunsUnderOneName')) await remove(store, uploaded);
    throw error;
  });
  if (commit.prefix !== prefix) await remove(store, uploaded);
  return commit;
}

/** The commit of this step, if there is one, and if it came from the same inputs. */
async function existing(store: ObjectStore, checkpoint: CheckpointToCommit): Promise<Commit | null> {
  if (!(await store.head(commitKey(checkpoint)))) return null;
  const commit = await readCommit(store, checkpoint);
  if (commit.inputHash === checkpoint.inputHash) return commit;
  const key = commitKey(checkpoint);
  throw new RunnerError(
    'TwoRunsUnderOneName',
    `${nameOf(checkpoint)} was already committed from other inputs (${key}): two runs go under one name; stop one of them, or start it under another --workflow-id`,
    { details: { object: key, attempt: commit.attempt } },
  );
}

async function putCommit(
  store: ObjectStore,
  checkpoint: CheckpointToCommit,
  manifest: Manifest,
  manifestSha256: string,
): Promise<Commit> {
  const { run, phase, revision, step, examples, prefix, sha256, attempt, metrics } = manifest;
  const place = { run, phase, revision, step, examples, prefix, manifestSha256, sha256 };
  const committed = new Date().toISOString();
  const commit: Commit = { version: 1, ...place, inputHash: checkpoint.inputHash, attempt, metrics, committed };
  const body = toDocument(commit);
  requireValid(parseCommit(body).problem, checkpoint);
  for (let round = 0; round < 5; round++) {
    try {
      await store.put(commitKey(commit), body, { ifAbsent: true, contentType: 'application/json' });
      return commit;
    } catch (error) {
      if (!isRunnerError(error, 'PreconditionFailed')) throw error;
    }
    // Ours if an earlier answer was lost, else another attempt's. None: a conflict whose winner failed.
    const winner = await existing(store, checkpoint);
    if (winner) return winner;
    await delay(50 * 2 ** round * Math.random());
  }
  throw new RunnerError(
    'StorageUnavailable',
    `${commitKey(commit)} is refused and yet absent; it is tried again later`,
  );
}

function manifestOf(checkpoint: CheckpointToCommit, prefix: string): Manifest {
  const { folder: _, inputHash: __, sidecars, ...rest } = checkpoint;
  const manifest: Manifest = {
    version: 1,
    ...rest,
    prefix,
    sha256: checkpointSha256(checkpoint.state),
    sidecars: sidecars.map(({ path, content }): StateFile => {
      const bytes = Buffer.from(content);
      return { path, bytes: bytes.length, sha256: sha256(bytes) };
    }),
    created: new Date().toISOString(),
  };
  // What could not be read again is not committed.
  requireValid(parseManifest(toDocument(manifest)).problem, checkpoint);
  return manifest;
}

/**
 * An attempt writes its manifest once. When it comes back after a lost answer, the first one counts: a commit may
 * name its hash already, and the time in it would make another. Null when that one is damaged, or
 * was swept just now.
 */
async function putManifest(store: ObjectStore, manifest: Manifest): Promise<string | null> {
  const key = manifestKey(manifest.prefix);
  const body = toDocument(manifest);
  try {
    await store.put(key, body, { ifAbsent: true, contentType: 'application/json' });
    return sha256(body);
  } catch (error) {
    if (!isRunnerError(error, 'PreconditionFailed')) throw error;
    const found = await readDocument(store, key);
    if (!found || 'problem' in found) return null;
    const { value } = parseManifest(found.bytes);
    const { created } = manifest;
    if (value && hashJson({ ...value, created }) === hashJson(manifest)) return sha256(found.bytes);
    throw new RunnerError(
      'TwoRunsUnderOneName',
      `attempt ${manifest.attempt} has written another ${nameOf(manifest)} before; every attempt needs an id of its own`,
      { cause: error },
    );
  }
}

function requireValid(problem: string | undefined, at: CheckpointToCommit): void {
  if (problem === undefined) return;
  throw new RunnerError('RecipeInvalid', `${nameOf(at)} can't be committed: ${problem}`);
}

/**
 * An attempt that was away for longer than any should be may have been swept before it came back and committed: then
 * it takes its commit back, before anyone was told of it, and uploads again.
 */
async function takeBack(store: ObjectStore, commit: Commit): Promise<void> {
  const now = await readCommit(store, commit).catch((error) => {
    if (!isCheckpointDamaged(error)) throw error;
    return null;
  });
  if (now?.prefix === commit.prefix) await store.purge(commitKey(commit));
  const left: string[] = [];
  for await (const { key } of store.list(commit.prefix)) left.push(key);
  await remove(store, left);
}

/** Objects of an attempt that lost: no commit names them and none ever will. Best effort, the sweep gets the rest. */
async function remove(store: ObjectStore, keys: readonly string[]): Promise<void> {
  for (const key of keys) await store.delete(key).catch(() => {});
}
