import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { requireSpace } from '../runtime/disk.ts';
import { hashFile } from '../runtime/hash.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { checkpointDamaged } from './damage.ts';
import { downloadFile } from './download.ts';
import { readManifest } from './manifest.ts';
import type { CheckpointRef, Manifest, StateFile } from './types.ts';

export interface RestoreOptions {
  /** Which files are wanted, all by default. */
  readonly files?: (file: StateFile) => boolean;
  readonly signal?: AbortSignal;
  /** As downloadFile takes it. */
  readonly ranges?: number;
  /** Called for each file that had to be downloaded, when it is there. */
  readonly onFile?: (file: StateFile) => void;
}

/**
 * Brings a checkpoint to a local folder and verifies every wanted file of it. Files that are there and verify are
 * kept; a broken download is resumed. `CheckpointDamaged` names the object that is missing or wrong. One caller at a
 * time for a folder.
 */
export async function restoreCheckpoint(
  store: ObjectStore,
  ref: CheckpointRef,
  folder: string,
  options: RestoreOptions = {},
): Promise<{ manifest: Manifest; manifestBytes: Buffer }> {
  const { manifest, bytes: manifestBytes } = await readManifest(store, ref);
  const wanted = [...manifest.state, ...manifest.sidecars].filter(options.files ?? (() => true));
  await mkdir(folder, { recursive: true });
  const missing: StateFile[] = [];
  for (const file of wanted) if (!(await verifies(join(folder, file.path), file))) missing.push(file);
  await requireSpace(
    folder,
    missing.reduce((sum, file) => sum + file.bytes, 0),
  );
  for (const file of missing) {
    options.signal?.throwIfAborted();
    const key = manifest.prefix + file.path;
    const damaged = (problem: string, cause?: unknown) => checkpointDamaged(ref, key, problem, cause);
    await downloadFile(store, key, file, join(folder, file.path), damaged, options.signal, options.ranges);
    options.onFile?.(file);
  }
  return { manifest, manifestBytes };
}

async function verifies(path: string, file: StateFile): Promise<boolean> {
  const found = await hashFile(path);
  return found?.bytes === file.bytes && found.sha256 === file.sha256;
}
