import { findCommits } from '../checkpoint/commits.ts';
import { nameOf } from '../checkpoint/damage.ts';
import { runPrefix, scoresPrefix } from '../checkpoint/keys.ts';
import type { CheckpointName } from '../checkpoint/names.ts';
import { pinsOf, requireUnpinned } from '../checkpoint/pins.ts';
import { deleteCheckpoint } from '../checkpoint/retention.ts';
import { sweepRun } from '../checkpoint/sweep.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/**
 * Deletes a run, the checkpoints of a phase and its stored scores, or one checkpoint. Without `yes` nothing is deleted;
 * the lines say what would be. What someone holds is refused, and nothing goes then.
 */
export async function* remove(
  store: ObjectStore,
  what: string,
  { run, phase, step }: CheckpointName,
  yes: boolean,
): AsyncIterable<string> {
  const all = await findCommits(store, { run, ...(phase === undefined ? {} : { phase }) });
  const found = all.filter((at) => step === undefined || at.step === step);
  const keys: string[] = [];
  if (phase === undefined) for await (const { key } of store.list(runPrefix(run))) keys.push(key);
  else if (step === undefined) for await (const { key } of store.list(scoresPrefix({ run, phase }))) keys.push(key);
  if (found.length === 0 && keys.length === 0)
    throw new RunnerError(
      'ObjectMissing',
      `bucket ${store.bucket} has no checkpoint ${what}; npm run siglip2 -- ls shows what is there`,
    );
  const names = new Set(found.map(nameOf));
  const phases = [...new Set(all.map((at) => at.phase))];
  const pins = (await Promise.all(phases.map((one) => pinsOf(store, { run, phase: one })))).flat();
  requireUnpinned(
    pins.filter((pin) => names.has(nameOf(pin))),
    `rm ${what}`,
  );
  for (const at of found) {
    if (yes && !(await deleteCheckpoint(store, at))) yield `${nameOf(at)}  kept: someone has just pinned it`;
    else yield nameOf(at);
  }
  if (yes) await sweepRun(store, run, { graceMs: 0, ...(phase === undefined ? {} : { phase }) });
  if (phase !== undefined && keys.length > 0) {
    yield `${scoresPrefix({ run, phase })}  ${keys.length} files of stored scores`;
    if (yes) for (const key of keys) await store.purge(key);
  }
  if (phase === undefined) {
    yield `${runPrefix(run)}  and all that lies there, ${keys.length} objects`;
    if (yes) for await (const { key } of store.list(runPrefix(run))) await store.purge(key);
  }
  yield yes ? 'deleted' : 'nothing is deleted yet: add --yes';
}
