import { type Borrowed, recordedOrigins, teacherOf } from '../src/checkpoint/borrowed.ts';
import { firstReadable } from '../src/checkpoint/commits.ts';
import { toRef } from '../src/checkpoint/documents.ts';
import { standingFor } from '../src/checkpoint/ends.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import type { CheckpointOfRun } from '../src/recipe/curation.ts';
import type { Recipe } from '../src/recipe/schema.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';

/**
 * Looks for what the phases go on from. What a run of this name began with is what it goes on with, however many newer
 * checkpoints there are meanwhile.
 */
export async function findBorrowed(store: ObjectStore, run: string, { phases }: Recipe): Promise<Borrowed> {
  const recorded = await recordedOrigins(store, run);
  // Without a prototype: a phase may be named `constructor`.
  const borrowed: Record<string, CheckpointRef> = Object.create(null);
  const find = async (name: string, phase: string, does: string, from: CheckpointOfRun) => {
    const before = recorded && Object.hasOwn(recorded, name) ? recorded[name] : undefined;
    borrowed[name] = before ?? (await findCheckpoint(store, `phase ${phase} ${does}`, from));
  };
  for (const { name, from, curation } of phases) {
    if (typeof from === 'object') await find(name, name, 'goes on from', from);
    if (typeof curation?.teacher === 'object') await find(teacherOf(name), name, 'is scored by', curation.teacher);
  }
  return borrowed;
}

/**
 * The checkpoint that stands for a phase, at a step if one is named: what it ended with, or its newest that can be
 * read. RecipeInvalid when there is none, CheckpointDamaged when there are none but damaged ones.
 */
async function findCheckpoint(store: ObjectStore, what: string, from: CheckpointOfRun): Promise<CheckpointRef> {
  const { step, ...phase } = from;
  const found = await standingFor(store, phase, step);
  if (found.length === 0) {
    const wanted = `${from.run}/${from.phase}${step === undefined ? '' : `@${step}`}`;
    throw new RunnerError(
      'RecipeInvalid',
      `${what} ${wanted}, and bucket ${store.bucket} has no such checkpoint; npm run siglip2 -- ls shows what is there`,
    );
  }
  const damaged: RunnerError[] = [];
  const commit = await firstReadable(store, found, (error) => damaged.push(error));
  if (!commit) throw damaged[0];
  return toRef(commit);
}
