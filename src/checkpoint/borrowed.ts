import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import { sha256 } from '../runtime/hash.ts';
import type { ObjectStore, PutOptions } from '../storage/object-store.ts';
import { readCommit } from './commits.ts';
import { parseReferences, readDocument, toDocument, toRef } from './documents.ts';
import { originsKey, type PhaseKey } from './keys.ts';
import { pin, pinsOf, unpin } from './pins.ts';
import type { CheckpointRef } from './types.ts';

/** Checkpoints of other runs that phases go on from, by phase; and their teachers, by `teacherOf`. */
export type Borrowed = Readonly<Record<string, CheckpointRef>>;

/** No phase has such a name. */
export const teacherOf = (phase: string) => `${phase}.teacher`;

/** Who holds a borrowed checkpoint, as its pin names it. */
export function borrowerName(run: string, phase: string): string {
  const name = `${run}.${phase}`;
  return name.length <= 200 ? name : `run-${sha256(name).slice(0, 32)}`;
}

/** All names under which the phases of a run hold what they go on from. */
export const holdersOf = (run: string, phases: readonly string[]): string[] =>
  phases.flatMap((phase) => [borrowerName(run, phase), borrowerName(run, teacherOf(phase))]);

/** What a run of this name began with; null when it has borrowed nothing. */
export async function recordedOrigins(store: ObjectStore, run: string): Promise<Borrowed | null> {
  const found = await readDocument(store, originsKey(run));
  if (!found) return null;
  const { value, problem } = 'bytes' in found ? parseReferences(found.bytes) : { problem: found.problem };
  if (value) return value;
  throw new RunnerError(
    'DataContract',
    `s3://${store.bucket}/${originsKey(run)} is not what was written (${problem}); start the run under another --workflow-id`,
  );
}

/**
 * What a phase began with, by its pin, where it still holds: for when the record of the run is damaged. Null when no pin
 * says so.
 */
export async function heldBy(store: ObjectStore, lender: PhaseKey, who: string): Promise<CheckpointRef | null> {
  const [held, another] = (await pinsOf(store, lender)).filter((one) => one.who === who);
  return held && !another ? toRef(await readCommit(store, held)) : null;
}

/**
 * Writes down what was chosen, once, and holds it. A record that is damaged is written anew. `begun` says which phases have checkpoints of their own: for them
 * what they began with may be gone.
 */
export async function holdBorrowed(
  store: ObjectStore,
  run: string,
  borrowed: Borrowed,
  begun: (phase: string) => Promise<boolean>,
): Promise<void> {
  if (Object.keys(borrowed).length === 0) return;
  const write = async (condition: PutOptions) => {
    try {
      await store.put(originsKey(run), toDocument(borrowed), { ...condition, contentType: 'application/json' });
      return true;
    } catch (error) {
      if (isRunnerError(error, 'PreconditionFailed') || isRunnerError(error, 'ObjectMissing')) return false;
      throw error;
    }
  };
  if (!(await write({ ifAbsent: true }))) {
    const found = await readDocument(store, originsKey(run));
    const before = found && 'bytes' in found ? parseReferences(found.bytes).value : undefined;
    const same =
      before && Object.entries(borrowed).every(([name, ref]) => before[name]?.manifestSha256 === ref.manifestSha256);
    const mended = found && !before && (await write({ ifMatch: found.etag }));
    if (!same && !mended)
      throw new RunnerError('StorageUnavailable', `another start of ${run} chose its origins first; it is tried again`);
  }
  for (const [phase, ref] of Object.entries(borrowed))
    await pin(store, ref, borrowerName(run, phase)).catch(async (error) => {
      if (!isRunnerError(error, 'CheckpointDamaged') || !(await begun(phase))) throw error;
    });
}

/** Lets go of what one phase of a run borrowed, its teacher too. `others`: checkpoints that its plan names beside. */
export async function releasePhase(
  store: ObjectStore,
  { run, phase }: PhaseKey,
  others: readonly CheckpointRef[] = [],
): Promise<void> {
  const origins = (await readableOrigins(store, run)) ?? {};
  // A phase may be named `constructor`.
  const recorded = [phase, teacherOf(phase)].flatMap((name) => (Object.hasOwn(origins, name) ? origins[name]! : []));
  for (const ref of [...recorded, ...others])
    for (const name of [phase, teacherOf(phase)]) await unpin(store, ref, borrowerName(run, name));
}

/** Lets go of all that a run borrowed, which has ended. */
export async function releaseRun(store: ObjectStore, run: string): Promise<void> {
  for (const [name, ref] of Object.entries((await readableOrigins(store, run)) ?? {}))
    await unpin(store, ref, borrowerName(run, name));
}

/** What can't be read any more can't be let go of; it is no reason to keep what else is to go. */
async function readableOrigins(store: ObjectStore, run: string): Promise<Borrowed | null> {
  return recordedOrigins(store, run).catch((error) => {
    if (!isRunnerError(error, 'DataContract')) throw error;
    return null;
  });
}
