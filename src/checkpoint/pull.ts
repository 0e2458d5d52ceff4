import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pMap from 'p-map';
import { number } from '../runtime/count-text.ts';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import { withLock } from '../runtime/lock.mjs';
import { makeFolder } from '../runtime/make-folder.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { findCommits, firstReadable, readCommit } from './commits.ts';
import { nameOf } from './damage.ts';
import { ordered, readEnd } from './ends.ts';
import { completeFolder } from './hugging-face/complete-folder.ts';
import { commitKey, type StepKey } from './keys.ts';
import { type CheckpointName, parseName } from './names.ts';
import { pin, unpin } from './pins.ts';
import { restoreCheckpoint } from './restore.ts';
import type { Manifest } from './types.ts';

export interface PullOptions {
  /** Also the files that only a resume needs: moments, teacher, heads. */
  readonly training?: boolean;
  /** Lines for a person. */
  readonly log?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** Longer than any download takes; one that was killed holds its checkpoint no longer than this. */
const holdMs = 24 * 3_600_000;

/**
 * Fetches RUN, RUN/PHASE or RUN/PHASE@STEP as a folder that `transformers` loads, with tokenizer and model card. RUN/PHASE
 * takes what the phase ended with, or else its newest checkpoint that verifies, and says so when that is an older one; RUN
 * takes the phase whose checkpoint is the youngest; RUN/PHASE@STEP is that one, or fails.
 */
export async function pullCheckpoint(
  store: ObjectStore,
  what: string,
  folder: string,
  options: PullOptions = {},
): Promise<Manifest> {
  const { log = () => {} } = options;
  const wanted = parseName(what);
  const found = await candidates(store, wanted);
  if (found.length === 0)
    throw new RunnerError(
      'ObjectMissing',
      `bucket ${store.bucket} has no checkpoint ${what}; npm run siglip2 -- ls shows what is there`,
    );
  const phases = [...new Set(found.map(({ phase }) => phase))].sort();
  if (phases.length > 1)
    log(`${what} has the phases ${phases.join(', ')}; ${found[0]!.phase} committed last, ${what}/PHASE takes another`);
  makeFolder(folder, 'name');
  // Two that write into one folder would take each other's files; the second then finds them there.
  return withLock(
    join(folder, '.pull.lock'),
    () => fetchFirstWhole(store, what, found, folder, options),
    () => log(`another pull is at ${folder}; waits until it has ended`),
  );
}

async function fetchFirstWhole(
  store: ObjectStore,
  what: string,
  found: readonly Candidate[],
  folder: string,
  options: PullOptions,
): Promise<Manifest> {
  const { log = () => {} } = options;
  for (const next of found) {
    const who = `pull-${randomBytes(6).toString('hex')}`;
    try {
      // A run that goes on meanwhile would prune it. Whoever may only read pulls without holding it.
      const commit = await pin(store, next, who, { untilMs: holdMs }).catch((error) => {
        if (isRunnerError(error, 'CheckpointDamaged')) throw error;
        return readCommit(store, next);
      });
      log(`fetching ${nameOf(commit)} of ${commit.committed}${next.why} into ${folder}`);
      const { manifest, manifestBytes } = await restoreCheckpoint(store, commit, folder, {
        files: (file) => options.training || !file.path.startsWith('training-'),
        onFile: (file) => log(`  ${file.path}, ${number(file.bytes)} bytes, verified`),
        ...(options.signal ? { signal: options.signal } : {}),
      });
      await writeFile(join(folder, 'manifest.json'), manifestBytes);
      await completeFolder(store, folder, manifest);
      return manifest;
    } catch (error) {
      if (!isRunnerError(error, 'CheckpointDamaged') || parseName(what).step !== undefined) throw error;
      log(`${error.message.split(';', 1)[0]}; falling back to an older one`);
    } finally {
      await unpin(store, next, who).catch(() => {});
    }
  }
  throw new RunnerError('CheckpointDamaged', `every checkpoint of ${what} in bucket ${store.bucket} is damaged`);
}

/** A checkpoint that may be fetched, and why it is this one, as the rest of a sentence. */
type Candidate = StepKey & { readonly why: string };

/** Within a phase those that stand for it come first; between phases only the time of the commit tells. */
async function candidates(store: ObjectStore, wanted: CheckpointName): Promise<Candidate[]> {
  const { run, phase, step } = wanted;
  const found = await findCommits(store, { run, ...(phase === undefined ? {} : { phase }) });
  const phases = [...new Set(found.map((at) => at.phase))];
  const lists = await pMap(
    phases,
    async (name) => {
      const end = await readEnd(store, { run, phase: name });
      const own = found.filter((at) => at.phase === name && (step === undefined || at.step === step));
      const list = ordered(own, end).map((at, i): Candidate => {
        const ended = end && commitKey(end) === commitKey(at);
        const why =
          step !== undefined ? '' : ended ? `, what phase ${name} ended with,` : i === 0 ? ', the newest,' : '';
        return { ...at, why };
      });
      const first = phases.length > 1 ? await firstReadable(store, list) : null;
      return { list, committed: first?.committed ?? '' };
    },
    { concurrency: 8 },
  );
  const byTime = lists.sort((a, b) => (a.committed < b.committed ? 1 : a.committed > b.committed ? -1 : 0));
  const others = phases.length > 1 ? ` of ${phases.length} phases,` : '';
  return byTime.flatMap(({ list }) => list).map((one) => (one.why ? { ...one, why: one.why + others } : one));
}
