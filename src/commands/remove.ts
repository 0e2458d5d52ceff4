import { holdersOf, releasePhase, releaseRun } from '../checkpoint/borrowed.ts';
import { findCommits, phasesOf } from '../checkpoint/commits.ts';
import { nameOf } from '../checkpoint/damage.ts';
import { forgetEnd } from '../checkpoint/ends.ts';
import { latestKey, logsPrefix, parseAttemptKey, parseCommitKey, runPrefix, scoresPrefix } from '../checkpoint/keys.ts';
import type { CheckpointName } from '../checkpoint/names.ts';
import { isHeldByRun, type Pin, pinsOf, requireUnpinned, unpin } from '../checkpoint/pins.ts';
import { deleteCheckpoint } from '../checkpoint/retention.ts';
import { sweepRun } from '../checkpoint/sweep.ts';
import { counted } from '../runtime/count-text.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/**
 * Deletes a run, the checkpoints of a phase and its stored scores, or one checkpoint. Without `yes` nothing is deleted;
 * the lines say what would be. What someone holds is refused, and nothing goes then. What the run itself holds, here and
 * in other runs, it lets go of.
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
  const logs: string[] = [];
  if (phase === undefined) {
    for await (const { key } of store.list(runPrefix(run))) keys.push(key);
    for await (const { key } of store.list(logsPrefix({ run, phase: null }))) logs.push(key);
  } else if (step === undefined) for await (const { key } of store.list(scoresPrefix({ run, phase }))) keys.push(key);
  if (found.length === 0 && keys.length === 0 && logs.length === 0)
    throw new RunnerError(
      'ObjectMissing',
      `bucket ${store.bucket} has no checkpoint ${what}; npm run siglip2 -- ls shows what is there`,
    );
  const names = new Set(found.map(nameOf));
  const phases = [...new Set(all.map((at) => at.phase))];
  const pins = (await Promise.all(phases.map((one) => pinsOf(store, { run, phase: one })))).flat();
  // Phases that were started alone hold what they go on from in their own run.
  const own = new Set(phase === undefined ? holdersOf(run, await phasesOf(store, run)) : []);
  // Of one checkpoint a person may not know that the run still wants it.
  const isOwn = (pin: Pin) => own.has(pin.who) || (step === undefined && isHeldByRun(pin));
  requireUnpinned(
    pins.filter((pin) => names.has(nameOf(pin)) && !isOwn(pin)),
    `rm ${what}`,
  );
  if (yes && step === undefined)
    await (phase === undefined ? releaseRun(store, run) : releasePhase(store, { run, phase }));
  if (yes) for (const pin of pins.filter(isOwn)) await unpin(store, pin, pin.who);
  let kept = 0;
  for (const at of found) {
    const gone = !yes || (await deleteCheckpoint(store, at));
    if (yes && gone) await forgetEnd(store, at);
    if (!gone) kept++;
    yield gone ? nameOf(at) : `${nameOf(at)}  kept: someone has just pinned it`;
  }
  if (yes) await sweepRun(store, run, { graceMs: 0, ...(phase === undefined ? {} : { phase }) });
  if (phase !== undefined && step === undefined && yes && kept === 0) await store.purge(latestKey({ run, phase }));
  if (phase !== undefined && keys.length > 0) {
    yield `${scoresPrefix({ run, phase })}  ${counted(keys.length, 'file')} of stored scores`;
    if (yes) for (const key of keys) await store.purge(key);
  }
  if (phase === undefined && kept === 0) {
    yield `${runPrefix(run)}  and all that lies there, ${counted(keys.length, 'object')}`;
    kept = yes ? await removeRest(store, run) : 0;
    if (logs.length > 0) yield `${logsPrefix({ run, phase: null })}  its log, ${counted(logs.length, 'object')}`;
    if (yes && kept === 0) for (const key of logs) await store.purge(key);
    if (kept > 0)
      yield `${runPrefix(run)}  ${counted(kept, 'object')} came while it was deleted, and ${kept === 1 ? 'is' : 'are'} kept`;
  }
  if (!yes) yield 'nothing is deleted yet: add --yes';
  else yield kept === 0 ? 'deleted' : `not all is deleted: type rm ${what} --yes again`;
}

/**
 * Deletes what lies beside the checkpoints of a run, and returns how many objects stay: a checkpoint that came meanwhile
 * goes by its own way, which looks whether someone relies on it.
 */
async function removeRest(store: ObjectStore, run: string): Promise<number> {
  let kept = 0;
  const rest: string[] = [];
  for await (const { key } of store.list(runPrefix(run))) {
    if (parseCommitKey(key) || parseAttemptKey(key)) kept++;
    else rest.push(key);
  }
  // Then its documents and pins are still needed.
  if (kept === 0) for (const key of rest) await store.purge(key);
  return kept;
}
