import { z } from 'zod';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { readCommit } from './commits.ts';
import { nameOf } from './damage.ts';
import { parseWith, readDocument, toDocument } from './documents.ts';
import { parsePinKey, pinKey, pinsPrefix, type StepKey } from './keys.ts';
import { requireHeld } from './marks.ts';
import type { Commit } from './types.ts';

/** Why a checkpoint must stay: `pins/<who>` beside its commits. */
export interface Pin extends StepKey {
  /** A person, a pull, or the phase of a run that goes on from it. */
  readonly who: string;
  /** ISO time after which it no longer holds: whoever was killed while borrowing does not hold it for ever. */
  readonly until: string | null;
}

const pinSchema = z.object({ version: z.literal(1), until: z.iso.datetime().nullable() });

/**
 * Holds a checkpoint. Whoever borrows one writes the pin first and looks then whether it can be relied on: pruning
 * looks for pins before it decides. `CheckpointDamaged` when it is gone, or not whole.
 */
export async function pin(
  store: ObjectStore,
  at: StepKey,
  who: string,
  options: { readonly untilMs?: number } = {},
): Promise<Commit> {
  const until = options.untilMs === undefined ? null : new Date(Date.now() + options.untilMs).toISOString();
  await store.put(pinKey({ ...at, who }), toDocument({ version: 1, until }), { contentType: 'application/json' });
  try {
    const commit = await readCommit(store, at);
    await requireHeld(store, commit);
    return commit;
  } catch (error) {
    if (isRunnerError(error, 'CheckpointDamaged')) await unpin(store, at, who).catch(() => {});
    throw error;
  }
}

/** Who holds a checkpoint until its evaluation by a task is planned, and holds it by itself. */
export const dueHolder = (task: string): string => `due-${task}`;

/** Whether a run holds it for itself: the best by a figure, the one that a phase may end with, what is to be evaluated. */
export const isHeldByRun = ({ who }: Pin): boolean => /^(best$|early-stopping$|due-)/.test(who);

/** Lets go of a checkpoint; a pin that is not there is no error. */
export async function unpin(store: ObjectStore, at: StepKey, who: string): Promise<void> {
  await store.purge(pinKey({ ...at, who }));
}

/** The pins of a phase that hold now. One that can't be read holds: nothing is deleted on a doubt. */
export async function pinsOf(store: ObjectStore, phase: { run: string; phase: string }): Promise<Pin[]> {
  const pins: Pin[] = [];
  for await (const { key } of store.list(pinsPrefix(phase))) {
    const at = parsePinKey(key);
    if (!at) continue;
    const found = await readDocument(store, key);
    if (!found) continue;
    const until = 'bytes' in found ? (parseWith(pinSchema, found.bytes).value?.until ?? null) : null;
    if (until === null || Date.parse(until) > Date.now()) pins.push({ ...at, until });
  }
  return pins;
}

/** Refuses what would take a checkpoint from someone. */
export function requireUnpinned(pins: readonly Pin[], command: string): void {
  if (pins.length === 0) return;
  const held = pins.map((one) => `${nameOf(one)} by ${one.who}`).join(', ');
  throw new RunnerError(
    'StorageRefused',
    `${command} is refused: held are ${held}; npm run siglip2 -- unpin RUN/PHASE@STEP --as WHO lets go of one`,
  );
}
