import { findCommits, readCommit } from '../src/checkpoint/commits.ts';
import { parseReferences, readDocument, toDocument, toRef } from '../src/checkpoint/documents.ts';
import { originsKey, type StepKey } from '../src/checkpoint/keys.ts';
import { readManifest } from '../src/checkpoint/manifest.ts';
import { pin } from '../src/checkpoint/pins.ts';
import { newestFirst } from '../src/checkpoint/retention.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import type { CheckpointOfRun } from '../src/recipe/curation.ts';
import type { Recipe } from '../src/recipe/schema.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import { sha256 } from '../src/runtime/hash.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';

/** Checkpoints of other runs that phases go on from, by phase; and their teachers, by `teacherOf`. */
export type Borrowed = Readonly<Record<string, CheckpointRef>>;

/** No phase has such a name. */
export const teacherOf = (phase: string) => `${phase}.teacher`;

/**
 * Looks for what the phases go on from. What a run of this name began with is what it goes on with, however many newer
 * checkpoints there are meanwhile.
 */
export async function findBorrowed(store: ObjectStore, run: string, { phases }: Recipe): Promise<Borrowed> {
  const recorded = await recordedOrigins(store, run);
  const borrowed: Record<string, CheckpointRef> = {};
  const find = async (name: string, phase: string, does: string, from: CheckpointOfRun) => {
    borrowed[name] = recorded?.[name] ?? (await newestOf(store, `phase ${phase} ${does}`, from));
  };
  for (const { name, from, curation } of phases) {
    if (typeof from === 'object') await find(name, name, 'goes on from', from);
    if (typeof curation?.teacher === 'object') await find(teacherOf(name), name, 'is scored by', curation.teacher);
  }
  return borrowed;
}

/** Writes down what was chosen, once, and holds it. To be called when the name of the run is taken. */
export async function holdBorrowed(store: ObjectStore, run: string, borrowed: Borrowed): Promise<void> {
  if (Object.keys(borrowed).length === 0) return;
  try {
    await store.put(originsKey(run), toDocument(borrowed), { ifAbsent: true, contentType: 'application/json' });
  } catch (error) {
    if (!isRunnerError(error, 'PreconditionFailed')) throw error;
    const before = await recordedOrigins(store, run);
    if (Object.entries(borrowed).some(([name, ref]) => before?.[name]?.manifestSha256 !== ref.manifestSha256))
      throw new RunnerError('StorageUnavailable', `another start of ${run} chose its origins first; it is tried again`);
  }
  for (const [phase, ref] of Object.entries(borrowed)) await pin(store, ref, borrowerName(run, phase));
}

/** Who holds a borrowed checkpoint, as its pin names it. */
export function borrowerName(run: string, phase: string): string {
  const name = `${run}.${phase}`;
  return name.length <= 200 ? name : `run-${sha256(name).slice(0, 32)}`;
}

async function recordedOrigins(store: ObjectStore, run: string): Promise<Borrowed | null> {
  const found = await readDocument(store, originsKey(run));
  if (!found) return null;
  const { value, problem } = 'bytes' in found ? parseReferences(found.bytes) : { problem: found.problem };
  if (value) return value;
  throw new RunnerError(
    'DataContract',
    `s3://${store.bucket}/${originsKey(run)} is not what was written (${problem}); start the run under another --workflow-id`,
  );
}

/** The newest commit of a phase, at a step if one is named; undefined when there is none. */
export async function newestAt(store: ObjectStore, { step, ...from }: CheckpointOfRun): Promise<StepKey | undefined> {
  const found = await findCommits(store, from);
  return newestFirst(found.filter((at) => step === undefined || at.step === step))[0];
}

async function newestOf(store: ObjectStore, what: string, from: CheckpointOfRun) {
  const newest = await newestAt(store, from);
  if (newest) {
    const commit = await readCommit(store, newest);
    await readManifest(store, commit);
    return toRef(commit);
  }
  const wanted = `${from.run}/${from.phase}${from.step === undefined ? '' : `@${from.step}`}`;
  throw new RunnerError(
    'RecipeInvalid',
    `${what} ${wanted}, and bucket ${store.bucket} has no such checkpoint; npm run siglip2 -- ls shows what is there`,
  );
}
