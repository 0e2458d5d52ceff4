import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { spreadRanges } from '../src/checkpoint/download.ts';
import { readManifest } from '../src/checkpoint/manifest.ts';
import { restoreCheckpoint } from '../src/checkpoint/restore.ts';
import type { CheckpointRef, Manifest } from '../src/checkpoint/types.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { RoundState } from '../src/rounds/state.ts';
import type { Dependencies } from './dependencies.ts';
import { outerFile, stateFiles } from './state-files.ts';
import { stateFromChange } from './state-from-change.ts';

export interface FetchedState {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly state: RoundState;
}

export interface FetchOptions {
  /** Of the phase. */
  readonly settings: PhaseSettings;
  /** With the buffers of the outer step. */
  readonly outer?: boolean;
  onBytes?(bytes: number): void;
}

/** The states of a phase that this worker has, in folders by their hashes. */
const statesOf = ({ scratch }: Pick<Dependencies, 'scratch'>, { run, phase }: Pick<CheckpointRef, 'run' | 'phase'>) =>
  join(scratch, 'rounds', run, phase);

/** What changes the states of a phase, one after another: a worker may train a slot and merge at once. */
const turns = new Map<string, Promise<unknown>>();

function inTurn<T>(all: string, work: () => Promise<T>): Promise<T> {
  const done = (turns.get(all) ?? Promise.resolve()).then(work);
  turns.set(
    all,
    done.catch(() => {}),
  );
  return done;
}

/**
 * The state that a round begins with, verified, in a folder of this worker that stays for its next slot. A worker that has what
 * the round before began with fetches the merged change of that alone, and makes the rest; where that comes to other bytes, or
 * can't be had, it fetches the checkpoint. Of other states the folders go.
 */
export async function fetchRoundState(
  deps: Dependencies,
  from: CheckpointRef,
  signal: AbortSignal,
  { settings, outer = false, onBytes = () => {} }: FetchOptions,
): Promise<FetchedState> {
  const { store } = deps;
  const all = statesOf(deps, from);
  const folder = join(all, from.sha256);
  return inTurn(all, async () => {
    await mkdir(all, { recursive: true });
    const has = (await readdir(all)).includes(from.sha256);
    const read = await readManifest(store, from);
    const wanted = { manifest: read.manifest, all, folder, settings, signal, onBytes };
    const written = has
      ? []
      : await stateFromChange(deps, from, wanted).catch((error) => {
          signal.throwIfAborted();
          const { run, phase } = from;
          deps.log.info({ run, phase }, `the checkpoint of step ${from.step} is fetched: ${error.message}`);
          return [];
        });
    for (const name of await readdir(all))
      if (name !== from.sha256) await rm(join(all, name), { recursive: true, force: true });
    const { manifest } = await restoreCheckpoint(store, from, folder, {
      files: ({ path }) => (path.endsWith('.safetensors') && (outer || path !== outerFile)) || path === 'config.json',
      signal,
      ranges: spreadRanges,
      written,
      read,
      onFile: ({ bytes }) => onBytes(bytes),
    });
    return { folder, manifest, state: await RoundState.open(folder, stateFiles(manifest)) };
  });
}

/**
 * Keeps the files of a state that this worker wrote and committed, so that its next round fetches none of them: `written`, which
 * holds nothing else, becomes the folder of that state by one rename. The state before stays, since a slot that is late may read
 * it; the next `fetchRoundState` removes it, and verifies this one as any other. Where the state is there already that counts.
 */
export function keepRoundState(
  deps: Pick<Dependencies, 'scratch'>,
  committed: Pick<CheckpointRef, 'run' | 'phase' | 'sha256'>,
  written: string,
): Promise<void> {
  const all = statesOf(deps, committed);
  return inTurn(all, async () => {
    await mkdir(all, { recursive: true });
    await rename(written, join(all, committed.sha256)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  });
}
