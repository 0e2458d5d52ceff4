import { borrowerName, heldBy, recordedOrigins, teacherOf } from '../checkpoint/borrowed.ts';
import { firstReadable } from '../checkpoint/commits.ts';
import { toRef } from '../checkpoint/documents.ts';
import { standingFor } from '../checkpoint/ends.ts';
import type { CheckpointRef } from '../checkpoint/types.ts';
import type { CheckpointOfRun } from '../recipe/curation.ts';
import { own } from '../recipe/own.ts';
import type { Recipe } from '../recipe/schema.ts';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
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
 * What a run of this name began with, however many newer checkpoints there are meanwhile. Where the record of it is
 * damaged its pins say so; another checkpoint would make another run of it.
 */
export async function begunWith(
  store: ObjectStore,
  run: string,
): Promise<(one: Wanted) => Promise<CheckpointRef | undefined>> {
  try {
    const recorded = await recordedOrigins(store, run);
    return async ({ name }) => (recorded ? own(recorded, name) : undefined);
  } catch (error) {
    if (!isRunnerError(error, 'DataContract')) throw error;
    return async ({ name, from }) => {
      const held = await heldBy(store, from, borrowerName(run, name));
      if (!held) throw error;
      return held;
    };
  }
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
