import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { StateFile } from '../src/checkpoint/types.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import type { Replicas } from '../src/recipe/replicas.ts';
import { mergeDeltas } from '../src/rounds/merge.ts';
import type { Outer } from '../src/rounds/outer.ts';
import { numbersOf, type RoundParameter } from '../src/rounds/parameters.ts';
import { DeltaFile } from '../src/rounds/read-delta.ts';
import type { RoundState } from '../src/rounds/state.ts';
import { Opened } from '../src/runtime/opened.ts';
import { SafetensorsFile } from '../src/safetensors/safetensors.ts';
import { exchangedOf, numbersBefore } from '../src/train/exchanged.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { mergedName, replicaFiles } from './replica-files.ts';
import { type FoundSlot, fetchHandedIn, filesPrefix } from './round-documents.ts';
import { writeStateAfter } from './state-after.ts';
import { outerFile } from './state-files.ts';
import type { MergeInput } from './types/rounds.ts';

interface Merging {
  readonly settings: PhaseSettings;
  readonly replicas: Replicas;
  /** By slot. */
  readonly members: readonly FoundSlot[];
  readonly before: RoundState;
  readonly beforeFolder: string;
  /** Names what is handed in. */
  readonly attempt: Attempt;
  /** Where the files of the checkpoint are written. */
  readonly folder: string;
  say(doing: string): void;
}

/** What a merge has written: the state, and what leads to it from the state before, in the bucket. */
export interface MergedFiles {
  readonly state: StateFile[];
  readonly merged: readonly (StateFile & { readonly attempt: string })[];
}

/** Where they are on average, as it is. */
const asItIs: Outer = { rate: 1, momentum: 0 };

/**
 * Writes the state that a round ends with: parameters after the outer step, means of what is averaged, and the rest as the
 * lowest slot of the round has it. A pure function of the state before and of what members handed in.
 */
export async function mergedFiles(deps: Dependencies, input: MergeInput, merging: Merging): Promise<MergedFiles> {
  const { settings, replicas, members, before, beforeFolder, folder, say } = merging;
  const exchanged = exchangedOf(settings, replicas, before);
  const fetched = join(folder, 'fetched');
  await mkdir(fetched, { recursive: true });
  const fetch = (member: FoundSlot, path: string) => {
    say(`fetching ${path} of slot ${member.ref.slot}`);
    return fetchHandedIn(deps.store, input, member.ref, member.document, path, fetched);
  };
  const opened = new Opened();
  const merged = async (path: string, parameters: readonly RoundParameter[], outer: Outer) => {
    const deltas: DeltaFile[] = [];
    for (const member of members) deltas.push(await opened.of(DeltaFile.open(await fetch(member, path), parameters)));
    say(`merging ${path} of ${members.length} replicas`);
    const has = outer.momentum !== 0 && (await exists(join(beforeFolder, outerFile)));
    const buffers = has ? numbersOf(await opened.of(SafetensorsFile.open(join(beforeFolder, outerFile)))) : null;
    const paths = { delta: join(fetched, mergedName(path)), momentum: join(folder, outerFile) };
    const made = await mergeDeltas(paths, {
      parameters,
      before: numbersBefore(before),
      members: deltas,
      outer,
      momentum: buffers,
    });
    const { bytes, sha256 } = made.delta;
    const file = { path: mergedName(path), bytes, sha256 };
    return { delta: await opened.of(DeltaFile.open(paths.delta, parameters)), file, momentum: made.momentum };
  };
  try {
    const changes = await merged(replicaFiles.changes, exchanged.parameters, replicas.outer);
    const others = exchanged.others.length > 0 ? await merged(replicaFiles.others, exchanged.others, asItIs) : null;
    const [lowest] = members as [FoundSlot];
    const beside = await opened.of(SafetensorsFile.open(await fetch(lowest, replicaFiles.beside)));
    const kept =
      replicas.moments === 'kept'
        ? await opened.of(SafetensorsFile.open(await fetch(lowest, replicaFiles.moments)))
        : null;
    say('writing the checkpoint');
    const parts = { changes: changes.delta, others: others?.delta ?? null, beside, kept };
    const written = await writeStateAfter(folder, parts, { exchanged, before });
    say('handing in the merged change');
    const handedIn = await handInMerged(deps, input, merging, [changes, ...(others ? [others] : [])]);
    const buffers = changes.momentum ? [{ path: outerFile, ...changes.momentum }] : [];
    return { state: [...written, ...buffers], merged: handedIn };
  } finally {
    await opened.close();
    await rm(fetched, { recursive: true, force: true });
  }
}

/** Uploads what a worker that holds the state before needs beyond what the lowest slot handed in, and names all of it. */
async function handInMerged(
  { store }: Dependencies,
  input: MergeInput,
  { members, replicas, folder, attempt }: Merging,
  deltas: readonly { readonly file: StateFile }[],
): Promise<MergedFiles['merged']> {
  const merged: MergedFiles['merged'][number][] = [];
  for (const { file } of deltas) {
    const { path, sha256 } = file;
    const local = join(folder, 'fetched', path);
    await store.putFile(filesPrefix(input, attempt.id) + path, local, { sha256, signal: attempt.signal, spread: true });
    merged.push({ ...file, attempt: attempt.id });
  }
  const [{ document: lowest }] = members as [FoundSlot];
  const { beside, moments } = replicaFiles;
  const own = lowest.files.filter(({ path }) => path === beside || (replicas.moments === 'kept' && path === moments));
  return [...merged, ...own.map((file) => ({ ...file, attempt: lowest.attempt }))];
}

const exists = async (path: string) =>
  SafetensorsFile.open(path).then(
    async (file) => {
      await file.close();
      return true;
    },
    (error) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    },
  );
