import type { ObjectStore } from '../storage/object-store.ts';
import { findCommits, newestFirst } from './commits.ts';
import { parseEnd, readDocument, toDocument, toRef } from './documents.ts';
import { commitKey, endKey, type PhaseKey, type StepKey } from './keys.ts';
import { swapDocument } from './swap.ts';
import type { CheckpointRef } from './types.ts';

/**
 * What a phase ended with, in `end.json`. A run that is started again may leave higher revisions behind that a person
 * gave up: numbers alone don't tell which checkpoint is the result.
 */

/** Writes down what a phase ended with, in place of what it ended with before. */
export async function recordEnd(store: ObjectStore, ref: CheckpointRef): Promise<void> {
  const key = endKey(ref);
  const body = toDocument({ version: 1, ...toRef(ref), commit: commitKey(ref) });
  await swapDocument(store, key, body, (bytes) => bytes.equals(body));
}

/** What a phase ended with; null when it has not ended, or that can't be read. */
export async function readEnd(store: ObjectStore, phase: PhaseKey): Promise<CheckpointRef | null> {
  const found = await readDocument(store, endKey(phase));
  const end = found && 'bytes' in found ? parseEnd(found.bytes).value : undefined;
  return end && end.run === phase.run && end.phase === phase.phase ? toRef(end) : null;
}

/** To be called when a checkpoint was deleted: nothing ended with it any more. */
export async function forgetEnd(store: ObjectStore, at: StepKey): Promise<void> {
  const end = await readEnd(store, at);
  if (end && commitKey(end) === commitKey(at)) await store.purge(endKey(at));
}

/**
 * The checkpoints of a phase, of one step if it is named, in the order in which they stand for it: what it ended with,
 * then the newest of its revision and of those before, then what was given up in later ones. Without an end the newest.
 */
export async function standingFor(store: ObjectStore, phase: PhaseKey, step?: number): Promise<StepKey[]> {
  const found = (await findCommits(store, phase)).filter((at) => step === undefined || at.step === step);
  return ordered(found, await readEnd(store, phase));
}

/** As `standingFor`, of checkpoints and an end that are known. */
export function ordered(found: readonly StepKey[], end: StepKey | null): StepKey[] {
  if (!end) return newestFirst(found);
  const rank = (at: StepKey) => (commitKey(at) === commitKey(end) ? 0 : at.revision <= end.revision ? 1 : 2);
  return newestFirst(found).sort((a, b) => rank(a) - rank(b));
}
