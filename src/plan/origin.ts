import { teacherOf } from '../checkpoint/borrowed.ts';
import { firstReadable } from '../checkpoint/commits.ts';
import { toRef } from '../checkpoint/documents.ts';
import { standingFor } from '../checkpoint/ends.ts';
import type { CheckpointRef } from '../checkpoint/types.ts';
import type { CheckpointOfRun } from '../recipe/curation.ts';
import type { Recipe } from '../recipe/schema.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/** A checkpoint of another run that a recipe names. */
export interface Wanted {
  /** In `Borrowed`. */
  readonly name: string;
  /** Where the recipe says so. */
  readonly field: string;
  /** "phase tune goes on from". */
  readonly what: string;
  readonly from: CheckpointOfRun;
}

/** Everything that a recipe borrows, in its order. */
export function wantedOf({ phases }: Pick<Recipe, 'phases'>): Wanted[] {
  return phases.flatMap(({ name, from, curation }, i) => [
    ...(typeof from === 'object'
      ? [{ name, field: `phases.${i}.from`, what: `phase ${name} goes on from`, from }]
      : []),
    ...(typeof curation?.teacher === 'object'
      ? [
          {
            name: teacherOf(name),
            field: `phases.${i}.curation.teacher`,
            what: `phase ${name} is scored by`,
            from: curation.teacher,
          },
        ]
      : []),
  ]);
}

/**
 * The checkpoint that stands for a phase, at a step if one is named: what it ended with, or its newest that can be
 * read. RecipeInvalid when there is none, CheckpointDamaged when there are none but damaged ones.
 */
export async function checkpointFor(
  store: ObjectStore,
  { what, from }: Pick<Wanted, 'what' | 'from'>,
): Promise<CheckpointRef> {
  const { step, ...phase } = from;
  const found = await standingFor(store, phase, step);
  if (found.length === 0) {
    const name = `${from.run}/${from.phase}${step === undefined ? '' : `@${step}`}`;
    throw new RunnerError(
      'RecipeInvalid',
      `${what} ${name}, and bucket ${store.bucket} has no such checkpoint; npm run siglip2 -- ls shows what is there`,
    );
  }
  const damaged: RunnerError[] = [];
  const commit = await firstReadable(store, found, (error) => damaged.push(error));
  if (!commit) throw damaged[0];
  return toRef(commit);
}
