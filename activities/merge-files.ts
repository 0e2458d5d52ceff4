import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { StateFile } from '../src/checkpoint/types.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import type { Replicas } from '../src/recipe/replicas.ts';
import { applied } from '../src/rounds/apply.ts';
import { mergeDeltas } from '../src/rounds/merge.ts';
import type { Outer } from '../src/rounds/outer.ts';
import { numbersOf, type RoundParameter } from '../src/rounds/parameters.ts';
import { DeltaFile } from '../src/rounds/read-delta.ts';
import { chunkBytes, type PlacedTensor, type RoundState, readLayout, writeTensors } from '../src/rounds/state.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import { tensorBytes } from '../src/safetensors/dtypes.ts';
import { SafetensorsFile } from '../src/safetensors/safetensors.ts';
import type { Dependencies } from './dependencies.ts';
import { type Exchanged, exchangedOf } from './exchanged.ts';
import { replicaFiles } from './replica-files.ts';
import { type FoundSlot, fetchHandedIn } from './round-documents.ts';
import { outerFile } from './round-state.ts';
import type { MergeInput } from './types/rounds.ts';

interface Merging {
  readonly settings: PhaseSettings;
  readonly replicas: Replicas;
  /** By slot. */
  readonly members: readonly FoundSlot[];
  readonly before: RoundState;
  readonly beforeFolder: string;
  /** Where the files of the checkpoint are written. */
  readonly folder: string;
  say(doing: string): void;
}

/** Where they are on average, as it is. */
const asItIs: Outer = { rate: 1, momentum: 0 };

/**
 * Writes the state that a round ends with: parameters after the outer step, means of what is averaged, and the rest as the
 * lowest slot of the round has it. A pure function of the state before and of what members handed in.
 */
export async function mergedFiles(deps: Dependencies, input: MergeInput, merging: Merging): Promise<StateFile[]> {
  const { settings, replicas, members, before, beforeFolder, folder, say } = merging;
  const exchanged = exchangedOf(settings, replicas, before);
  const fetched = join(folder, 'fetched');
  await mkdir(fetched, { recursive: true });
  const fetch = (member: FoundSlot, path: string) => {
    say(`fetching ${path} of slot ${member.ref.slot}`);
    return fetchHandedIn(deps.store, input, member.ref, member.document, path, fetched);
  };
  const open: { close(): Promise<void> }[] = [];
  const opened = async <T extends { close(): Promise<void> }>(opening: Promise<T>): Promise<T> => {
    const file = await opening;
    open.push(file);
    return file;
  };
  const merged = async (path: string, parameters: readonly RoundParameter[], outer: Outer) => {
    const deltas: DeltaFile[] = [];
    for (const member of members) deltas.push(await opened(DeltaFile.open(await fetch(member, path), parameters)));
    say(`merging ${path} of ${members.length} replicas`);
    const has = outer.momentum !== 0 && (await exists(join(beforeFolder, outerFile)));
    const buffers = has ? numbersOf(await opened(SafetensorsFile.open(join(beforeFolder, outerFile)))) : null;
    const paths = { delta: join(fetched, `merged-${path}`), momentum: join(folder, outerFile) };
    const made = await mergeDeltas(paths, {
      parameters,
      before: before.numbers,
      members: deltas,
      outer,
      momentum: buffers,
    });
    return { delta: await opened(DeltaFile.open(paths.delta, parameters)), momentum: made.momentum };
  };
  try {
    const changes = await merged(replicaFiles.changes, exchanged.parameters, replicas.outer);
    const others = exchanged.others.length > 0 ? await merged(replicaFiles.others, exchanged.others, asItIs) : null;
    const [lowest] = members as [FoundSlot];
    const beside = await opened(SafetensorsFile.open(await fetch(lowest, replicaFiles.beside)));
    const kept =
      replicas.moments === 'kept'
        ? await opened(SafetensorsFile.open(await fetch(lowest, replicaFiles.moments)))
        : null;
    const layout = readLayout(beside.metadata.layout);
    if (!layout) throw noLayout(lowest);
    say('writing the checkpoint');
    const reset = replicas.moments === 'reset' ? resetLayout(layout, exchanged) : null;
    const written = await writeTensors(folder, reset ?? layout, (tensor) => {
      const { name, dtype, shape } = tensor;
      const parameter = exchanged.parameters.find((one) => one.name === name);
      if (parameter) return () => applied(parameter, before.numbers, changes.delta);
      const other = exchanged.others.find((one) => one.name === name);
      if (other) return () => applied(other, before.numbers, others!.delta);
      if (reset && (isCount(name) || exchanged.moments.some((one) => one.name === name)))
        return () => zeros(tensorBytes(dtype, shape));
      const file = kept?.tensors.has(name) ? kept : beside.tensors.has(name) ? beside : null;
      return file ? () => file.chunks(name, chunkBytes) : () => before.chunks(name);
    });
    if (!changes.momentum) return written;
    return [...written, { path: outerFile, ...changes.momentum }];
  } finally {
    for (const file of open) await file.close();
    await rm(fetched, { recursive: true, force: true });
  }
}

function* zeros(bytes: number): Generator<Uint8Array> {
  for (let done = 0; done < bytes; done += chunkBytes) yield new Uint8Array(Math.min(chunkBytes, bytes - done));
}

/** How many updates moments have seen, as src/train/stored-updates.ts writes it. */
const countOf = (name: string) => `updates/${name}`;
const isCount = (name: string) => name.startsWith(countOf(''));

/** Where moments begin at zero, they have seen no update. */
function resetLayout(layout: readonly PlacedTensor[], { parameters }: Exchanged): PlacedTensor[] {
  const others = layout.filter(({ name }) => !isCount(name));
  const last = others
    .map(({ file }) => file)
    .sort()
    .at(-1)!;
  const counts = parameters.map(({ name }) => ({ name: countOf(name), file: last, dtype: 'I32' as const, shape: [1] }));
  return [...others, ...counts];
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

const noLayout = ({ ref }: FoundSlot) =>
  new RunnerError('CheckpointDamaged', `${ref.key} does not say how the files of a state are laid out; train it again`);
