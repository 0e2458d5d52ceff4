import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { requireSpace } from '../runtime/disk.ts';
import { hashFile } from '../runtime/hash.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { baseFile, stateKey } from './base-files.ts';
import { composeModel, modelFile } from './compose-model.ts';
import { checkpointDamaged } from './damage.ts';
import { downloadFile, type Ranges } from './download.ts';
import { readManifest } from './manifest.ts';
import type { CheckpointRef, Manifest, StateFile } from './types.ts';

export interface RestoreOptions {
  /** Which files are wanted, all by default. */
  readonly files?: (file: StateFile) => boolean;
  readonly signal?: AbortSignal;
  /** As downloadFile takes it. */
  readonly ranges?: Ranges;
  /** What the caller has just written below the folder, by the hashes that it took on the way: where they are right it is not read again. */
  readonly written?: readonly StateFile[];
  /** The manifest, by one who has just read it. */
  readonly read?: Awaited<ReturnType<typeof readManifest>>;
  /** Called for each file that had to be downloaded, when it is there. */
  readonly onFile?: (file: StateFile) => void;
}

/**
 * Brings a checkpoint to a local folder and verifies every wanted file of it. Files that are there and verify are
 * kept; a broken download is resumed. `CheckpointDamaged` names the object that is missing or wrong. One caller at a
 * time for a folder. Where a checkpoint holds adapters beside what they are of, its `model.safetensors` is made of both.
 */
export async function restoreCheckpoint(
  store: ObjectStore,
  ref: CheckpointRef,
  folder: string,
  options: RestoreOptions = {},
): Promise<{ manifest: Manifest; manifestBytes: Buffer }> {
  const { manifest, bytes: manifestBytes } = options.read ?? (await readManifest(store, ref));
  const takes = options.files ?? (() => true);
  const base = manifest.state.find(({ path }) => path === baseFile);
  const composes = base !== undefined && takes({ ...base, path: modelFile });
  const wanted = [...manifest.state, ...manifest.sidecars].filter(
    (file) => takes(file) || (composes && manifest.state.includes(file)),
  );
  await mkdir(folder, { recursive: true });
  const missing: StateFile[] = [];
  const isRight = (file: StateFile) => options.written?.some((one) => isSame(one, file)) ?? false;
  for (const file of wanted) if (!isRight(file) && !(await verifies(join(folder, file.path), file))) missing.push(file);
  await requireSpace(
    folder,
    missing.reduce((sum, file) => sum + file.bytes, composes ? base.bytes : 0),
  );
  for (const file of missing) {
    options.signal?.throwIfAborted();
    const key = stateKey(manifest, file);
    const damaged = (problem: string, cause?: unknown) => checkpointDamaged(ref, key, problem, cause);
    await downloadFile(store, key, file, join(folder, file.path), damaged, options.signal, options.ranges);
    options.onFile?.(file);
  }
  if (composes) {
    await composeModel(folder, manifest.state);
    for (const file of manifest.state) if (!takes(file)) await rm(join(folder, file.path));
  }
  return { manifest, manifestBytes };
}

const isSame = (a: StateFile, b: StateFile) => a.path === b.path && a.bytes === b.bytes && a.sha256 === b.sha256;

async function verifies(path: string, file: StateFile): Promise<boolean> {
  const found = await hashFile(path);
  return found?.bytes === file.bytes && found.sha256 === file.sha256;
}
