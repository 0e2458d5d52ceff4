import { join } from 'node:path';
import type { StateFile } from '../src/checkpoint/types.ts';
import type { Replicas } from '../src/recipe/replicas.ts';
import type { DeltaHead } from '../src/rounds/layout.ts';
import { layoutText, type PlacedTensor, type RoundState } from '../src/rounds/state.ts';
import { writeDelta } from '../src/rounds/write-delta.ts';
import { writeSafetensors } from '../src/safetensors/safetensors.ts';
import { type Exchanged, numbersBefore } from '../src/train/exchanged.ts';

/** The files that a replica hands in. */
export const replicaFiles = {
  changes: 'changes.safetensors',
  /** What is averaged as it is. */
  others: 'others.safetensors',
  /** What one replica's stands for, and how the files of a state are laid out. */
  beside: 'beside.safetensors',
  /** Of a slot that keeps its own. */
  moments: 'moments.safetensors',
} as const;

/** What is merged of such a file. */
export const mergedName = (path: string) => `merged-${path}`;

/**
 * Writes what a replica hands in below `folder`, of the state that the round began with and the one that the replica ended
 * with. The same states give the same bytes.
 */
export async function writeReplica(
  folder: string,
  { exchange, moments }: Pick<Replicas, 'exchange' | 'moments'>,
  head: Omit<DeltaHead, 'exchange'>,
  exchanged: Exchanged,
  before: RoundState,
  after: RoundState,
): Promise<StateFile[]> {
  const ends = { before: numbersBefore(before), after: after.numbers };
  const files: StateFile[] = [];
  const add = (path: string, { bytes, sha256 }: { bytes: number; sha256: string }) =>
    files.push({ path, bytes, sha256 });
  const { changes, others, beside } = replicaFiles;
  add(changes, await writeDelta(join(folder, changes), { ...head, exchange }, exchanged.parameters, ends));
  if (exchanged.others.length > 0)
    add(others, await writeDelta(join(folder, others), { ...head, exchange: 'f32' }, exchanged.others, ends));
  const layout = [...after.tensors.values()];
  const own = layout.filter(({ name }) => exchanged.isBeside(name));
  add(beside, await copied(join(folder, beside), own, after, { layout: layoutText(layout) }));
  if (moments === 'kept') {
    const names = new Set(exchanged.moments.map(({ name }) => name));
    const kept = layout.filter(({ name }) => names.has(name));
    add(replicaFiles.moments, await copied(join(folder, replicaFiles.moments), kept, after));
  }
  return files;
}

const copied = (path: string, tensors: readonly PlacedTensor[], from: RoundState, metadata?: Record<string, string>) =>
  writeSafetensors(
    path,
    tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape, data: () => from.chunks(name) })),
    { sync: false, ...(metadata && { metadata: { format: 'siglip2-beside-1', ...metadata } }) },
  );
