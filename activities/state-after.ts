import { applied } from '../src/rounds/apply.ts';
import type { DeltaFile } from '../src/rounds/read-delta.ts';
import { chunkBytes, type RoundState, readLayout, type WrittenFile, writeTensors } from '../src/rounds/state.ts';
import { RunnerError } from '../src/runtime/errors.ts';
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
  { exchanged, before }: { readonly exchanged: Exchanged; readonly before: RoundState },
): Promise<WrittenFile[]> {
  const layout = readLayout(beside.metadata.layout);
  if (!layout) throw noLayout(beside.path);
  const began = numbersBefore(before);
  return writeTensors(folder, layout, ({ name }) => {
    const parameter = exchanged.parameters.find((one) => one.name === name);
    if (parameter) return () => applied(parameter, began, changes);
    const other = exchanged.others.find((one) => one.name === name);
    if (other) return () => applied(other, began, others!);
    const file = kept?.tensors.has(name) ? kept : beside.tensors.has(name) ? beside : null;
    return file ? () => file.chunks(name, chunkBytes) : () => before.chunks(name);
  });
}

const noLayout = (path: string) =>
  new RunnerError('CheckpointDamaged', `${path} does not say how the files of a state are laid out; train it again`);
