import { updatesTensor } from '../src/checkpoint/training-tensors.ts';
import type { Replicas } from '../src/recipe/replicas.ts';
import { applied, appliedRooms } from '../src/rounds/apply.ts';
import type { DeltaFile } from '../src/rounds/read-delta.ts';
import {
  chunkBytes,
  type PlacedTensor,
  type RoundState,
  readLayout,
  type WrittenFile,
  writeTensors,
} from '../src/rounds/state.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import { tensorBytes } from '../src/safetensors/dtypes.ts';
import type { SafetensorsFile } from '../src/safetensors/safetensors.ts';
import { type Exchanged, numbersBefore } from '../src/train/exchanged.ts';

/** What leads from the state that a round began with to the one that it ended with. */
export interface RoundParts {
  /** Merged. */
  readonly changes: DeltaFile;
  /** Of what is averaged as it is; null where nothing is. */
  readonly others: DeltaFile | null;
  /** Of the lowest slot: what one replica's stands for, and the layout; and its moments, where slots keep them. */
  readonly beside: SafetensorsFile;
  readonly kept: SafetensorsFile | null;
}

/**
 * Writes the state after a round. Whoever holds the state before and these parts gets the same bytes: the worker that merged,
 * and those that begin the next round without fetching its checkpoint.
 */
export function writeStateAfter(
  folder: string,
  { changes, others, beside, kept }: RoundParts,
  {
    moments,
    exchanged,
    before,
  }: Pick<Replicas, 'moments'> & { readonly exchanged: Exchanged; readonly before: RoundState },
): Promise<WrittenFile[]> {
  const layout = readLayout(beside.metadata.layout);
  if (!layout) throw noLayout(beside.path);
  const reset = moments === 'reset' ? resetLayout(layout, exchanged) : null;
  const isZero = zeroAtFirst(exchanged);
  const began = numbersBefore(before);
  // Tensors are written one after another.
  const rooms = appliedRooms();
  return writeTensors(folder, reset ?? layout, (tensor) => {
    const { name, dtype, shape } = tensor;
    const parameter = exchanged.parameters.find((one) => one.name === name);
    if (parameter) return () => applied(parameter, began, changes, rooms);
    const other = exchanged.others.find((one) => one.name === name);
    if (other) return () => applied(other, began, others!, rooms);
    if (reset && isZero(name)) return () => zeros(tensorBytes(dtype, shape));
    const file = kept?.tensors.has(name) ? kept : beside.tensors.has(name) ? beside : null;
    return file ? () => file.chunks(name, chunkBytes) : () => before.chunks(name);
  });
}

/** So many bytes of zeros, in chunks. */
export function* zeros(bytes: number): Generator<Uint8Array> {
  const chunk = new Uint8Array(Math.min(chunkBytes, bytes));
  for (let done = 0; done < bytes; done += chunkBytes) yield chunk.subarray(0, bytes - done);
}

const isCount = (name: string) => name.startsWith(updatesTensor(''));

/** Whether a tensor is zero where moments begin at zero: one of them, or a count of the updates that they have seen. */
export function zeroAtFirst({ moments }: Pick<Exchanged, 'moments'>): (name: string) => boolean {
  const names = new Set(moments.map(({ name }) => name));
  return (name) => isCount(name) || names.has(name);
}

/** Where moments begin at zero, they have seen no update. */
function resetLayout(layout: readonly PlacedTensor[], { parameters }: Exchanged): PlacedTensor[] {
  const others = layout.filter(({ name }) => !isCount(name));
  const last = others
    .map(({ file }) => file)
    .sort()
    .at(-1)!;
  const counts = parameters.map(({ name }) => {
    return { name: updatesTensor(name), file: last, dtype: 'I32' as const, shape: [1] };
  });
  return [...others, ...counts];
}

const noLayout = (path: string) =>
  new RunnerError('CheckpointDamaged', `${path} does not say how the files of a state are laid out; train it again`);
