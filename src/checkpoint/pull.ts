import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pMap from 'p-map';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { findCommits, readCommit } from './commits.ts';
import { nameOf } from './damage.ts';
import { completeFolder } from './hugging-face/complete-folder.ts';
import type { StepKey } from './keys.ts';
import { parseName } from './names.ts';
import { pin, unpin } from './pins.ts';
import { restoreCheckpoint } from './restore.ts';
import { newestFirst } from './retention.ts';
import type { Commit, Manifest } from './types.ts';

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
 * Fetches RUN, RUN/PHASE or RUN/PHASE@STEP as a folder that `transformers` loads, with tokenizer and model card. RUN and RUN/PHASE take the newest
 * checkpoint that verifies, and say so when that is an older one; RUN/PHASE@STEP is that one, or fails.
 */
export async function pullCheckpoint(
  store: ObjectStore,
  what: string,
  folder: string,
  options: PullOptions = {},
): Promise<Manifest> {
  const log = options.log ?? (() => {});
  const wanted = parseName(what);
  const found = (await findCommits(store, wanted)).filter((at) => wanted.step === undefined || at.step === wanted.step);
  if (found.length === 0)
    throw new RunnerError(
      'ObjectMissing',
      `bucket ${store.bucket} has no checkpoint ${what}; npm run siglip2 -- ls shows what is there`,
    );
  const phases = [...new Set(found.map(({ phase }) => phase))].sort();
  if (phases.length > 1)
    log(
      `${what} has the phases ${phases.join(', ')}; the one that committed last is taken, ${what}/PHASE takes another`,
    );
  for await (const next of candidates(store, found, wanted.phase === undefined)) {
    const who = `pull-${randomBytes(6).toString('hex')}`;
    try {
      // A run that goes on meanwhile would prune it. Whoever may only read pulls without holding it.
      const commit = await pin(store, next, who, { untilMs: holdMs }).catch((error) => {
        if (isRunnerError(error, 'CheckpointDamaged')) throw error;
        return readCommit(store, next);
      });
      log(`fetching ${nameOf(commit)} of ${commit.committed} into ${folder}`);
      const { manifest, manifestBytes } = await restoreCheckpoint(store, commit, folder, {
        files: (file) => options.training || !file.path.startsWith('training-'),
        onFile: (file) => log(`  ${file.path}, ${file.bytes.toLocaleString('en-US')} bytes, verified`),
        ...(options.signal ? { signal: options.signal } : {}),
      });
      await writeFile(join(folder, 'manifest.json'), manifestBytes);
      await completeFolder(store, folder, manifest);
      return manifest;
    } catch (error) {
      if (!isRunnerError(error, 'CheckpointDamaged') || wanted.step !== undefined) throw error;
      log(`${error.message.split(';', 1)[0]}; falling back to an older one`);
    } finally {
      await unpin(store, next, who).catch(() => {});
    }
  }
  throw new RunnerError('CheckpointDamaged', `every checkpoint of ${what} in bucket ${store.bucket} is damaged`);
}

/** Within a phase the order is (revision, step); between phases only the time of the commit tells. */
async function* candidates(store: ObjectStore, found: StepKey[], byTime: boolean): AsyncIterable<StepKey | Commit> {
  const ordered = newestFirst(found);
  if (!byTime) return yield* ordered;
  const read = (at: StepKey) =>
    readCommit(store, at).catch((error) => {
      if (isRunnerError(error, 'CheckpointDamaged')) return at;
      throw error;
    });
  const commits = await pMap(ordered, read, { concurrency: 8 });
  const time = (at: StepKey | Commit) => ('committed' in at ? at.committed : '');
  yield* commits.sort((a, b) => (time(a) < time(b) ? 1 : time(a) > time(b) ? -1 : 0));
}
