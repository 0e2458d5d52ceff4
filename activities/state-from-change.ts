import { copyFile, mkdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkpointDamaged } from '../src/checkpoint/damage.ts';
import { downloadFile, spreadRanges } from '../src/checkpoint/download.ts';
import { roundAttemptPrefix } from '../src/checkpoint/keys.ts';
import { readManifest } from '../src/checkpoint/manifest.ts';
import type { CheckpointRef, Manifest } from '../src/checkpoint/types.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { DeltaFile } from '../src/rounds/read-delta.ts';
import { RoundState, type WrittenFile } from '../src/rounds/state.ts';
import { Opened } from '../src/runtime/opened.ts';
import { SafetensorsFile } from '../src/safetensors/safetensors.ts';
import { exchangedOf } from '../src/train/exchanged.ts';
import type { Dependencies } from './dependencies.ts';
import { mergedName, replicaFiles } from './replica-files.ts';
import { replicasOf } from './replicas-of.ts';
import { writeStateAfter } from './state-after.ts';
import { stateFiles } from './state-files.ts';

interface Wanted {
  readonly manifest: Manifest;
  /** The states of the phase that this worker has, in folders by their hashes. */
  readonly all: string;
  /** Where this one is to be. */
  readonly folder: string;
  readonly settings: PhaseSettings;
  readonly signal: AbortSignal;
  onBytes(bytes: number): void;
}

/**
 * Makes the state after a round of the state before, which lies here, and of the merged change, which is fetched. Nothing is
 * there where that can't be, or would be more to fetch than the checkpoint.
 *
 * @returns the files, which are for the caller to hold against the manifest
 */
export async function stateFromChange(
  { store }: Dependencies,
  from: CheckpointRef,
  { manifest, all, folder, settings, signal, onBytes }: Wanted,
): Promise<WrittenFile[]> {
  const { parent, round } = manifest;
  const parts = round?.merged ?? [];
  const has = parent && (await stat(join(all, parent.sha256)).catch(() => null));
  if (!has || !isLess(manifest, parts)) return [];
  const [fetched, made] = [join(all, 'change'), join(all, 'made')];
  const opened = new Opened();
  try {
    await mkdir(made, { recursive: true });
    const fetching = parts.map(async ({ path, attempt, ...file }) => {
      const key = roundAttemptPrefix({ ...from, attempt }) + path;
      const damaged = (problem: string, cause?: unknown) => checkpointDamaged(from, key, problem, cause);
      await downloadFile(store, key, { path, ...file }, join(fetched, path), damaged, signal, spreadRanges);
      onBytes(file.bytes);
    });
    const reading = readManifest(store, parent);
    // None is left on its way when the folders go.
    const failed = (await Promise.allSettled([reading, ...fetching])).find(({ status }) => status === 'rejected');
    if (failed) throw (failed as PromiseRejectedResult).reason;
    const had = join(all, parent.sha256);
    const before = await opened.of(RoundState.open(had, stateFiles((await reading).manifest)));
    const replicas = replicasOf(settings);
    const exchanged = exchangedOf(settings, replicas, before);
    const at = (path: string) => join(fetched, path);
    const { changes, others, beside, moments } = replicaFiles;
    const named = (path: string) => parts.some((one) => one.path === path);
    const written = await writeStateAfter(
      made,
      {
        changes: await opened.of(DeltaFile.open(at(mergedName(changes)), exchanged.parameters)),
        others: named(mergedName(others))
          ? await opened.of(DeltaFile.open(at(mergedName(others)), exchanged.others))
          : null,
        beside: await opened.of(SafetensorsFile.open(at(beside))),
        kept: named(moments) ? await opened.of(SafetensorsFile.open(at(moments))) : null,
      },
      { exchanged, before },
    );
    // Nearly always the same; where it is another, or is not there, its hash tells.
    await copyFile(join(had, 'config.json'), join(made, 'config.json')).catch(() => {});
    await rename(made, folder);
    return written;
  } finally {
    await opened.close();
    for (const left of [fetched, made]) await rm(left, { recursive: true, force: true });
  }
}

/** Whether the change is less to fetch than the state. */
function isLess({ state }: Manifest, parts: readonly { readonly bytes: number }[]): boolean {
  const sum = (files: readonly { readonly bytes: number }[]) => files.reduce((total, { bytes }) => total + bytes, 0);
  return parts.length > 0 && sum(parts) < sum(state);
}
