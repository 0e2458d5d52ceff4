import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { restoreCheckpoint } from '../src/checkpoint/restore.ts';
import type { CheckpointRef, Manifest } from '../src/checkpoint/types.ts';
import { RoundState } from '../src/rounds/state.ts';
import type { Dependencies } from './dependencies.ts';

/** The buffers of the outer step, beside the state that replicas begin with. */
export const outerFile = 'outer.safetensors';

/** Files of a checkpoint that hold what is trained. */
export const stateFiles = ({ state }: Pick<Manifest, 'state'>): string[] =>
  state.map(({ path }) => path).filter((path) => path !== outerFile);

export interface FetchedState {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly state: RoundState;
}

/** Fetches into the folder of a phase, one after another: a worker may train a slot and merge at once. */
const turns = new Map<string, Promise<unknown>>();

/**
 * The state that a round begins with, verified, in a folder of this worker that stays for its next slot: a worker that
 * was in a round before has what that began with, and fetches what is missing. Of others the folders go.
 */
export async function fetchRoundState(
  { store, scratch }: Dependencies,
  from: CheckpointRef,
  signal: AbortSignal,
  { outer = false, onBytes = () => {} }: { readonly outer?: boolean; onBytes?(bytes: number): void } = {},
): Promise<FetchedState> {
  const all = join(scratch, 'rounds', from.run, from.phase);
  const folder = join(all, from.sha256);
  const fetched = (turns.get(all) ?? Promise.resolve()).then(async () => {
    await mkdir(all, { recursive: true });
    for (const name of await readdir(all))
      if (name !== from.sha256) await rm(join(all, name), { recursive: true, force: true });
    const { manifest } = await restoreCheckpoint(store, from, folder, {
      files: ({ path }) => (path.endsWith('.safetensors') && (outer || path !== outerFile)) || path === 'config.json',
      signal,
      onFile: ({ bytes }) => onBytes(bytes),
    });
    return { folder, manifest, state: await RoundState.open(folder, stateFiles(manifest)) };
  });
  turns.set(
    all,
    fetched.catch(() => {}),
  );
  return fetched;
}
