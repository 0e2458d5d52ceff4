import { randomUUID } from 'node:crypto';
import { existsSync, renameSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { restoreCheckpoint } from '../src/checkpoint/restore.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import { hashJson } from '../src/runtime/hash.ts';
import type { Dependencies } from './dependencies.ts';

/** What this process knows of the folder of a teacher. */
interface Use {
  /** Attempts that use it. */
  attempts: number;
  /** The last fetch into it. */
  turn: Promise<unknown>;
  /** Whether a fetch has verified it: hashing gigabytes for every shard would be much. */
  verified: boolean;
}

const modelFile = 'model.safetensors';
const uses = new Map<string, Use>();

/**
 * Calls `work` with a local folder that has the teacher's model.safetensors, verified. The folder, named by the
 * checkpoint's hash, stays for the next shard; those of other teachers go when nobody uses them. A worker's scratch is
 * its own, so only attempts of this process can meet here: they fetch one after another.
 *
 * @param beside further files of it, such as those of its decoder
 */
export async function withTeacher<T>(
  { store, scratch }: Dependencies,
  teacher: CheckpointRef,
  signal: AbortSignal,
  work: (folder: string) => Promise<T>,
  beside: readonly string[] = [],
): Promise<T> {
  const files = beside.length > 0 ? `-${hashJson(beside).slice(0, 16)}` : '';
  const folder = join(scratch, 'teachers', `${teacher.sha256}${files}`);
  const use = uses.get(folder) ?? { attempts: 0, turn: Promise.resolve(), verified: false };
  uses.set(folder, use);
  use.attempts++;
  try {
    const fetched = use.turn.then(async () => {
      signal.throwIfAborted();
      if (use.verified && existsSync(join(folder, modelFile))) return;
      await removeUnused(join(scratch, 'teachers'));
      await restoreCheckpoint(store, teacher, folder, {
        files: ({ path }) => path === modelFile || beside.includes(path),
        signal,
      }).catch((error) => {
        if (!isRunnerError(error, 'CheckpointDamaged')) throw error;
        // It is not a checkpoint of this phase that the phase could go back from.
        throw new RunnerError('DataContract', `the teacher can't be used: ${error.message}`, { cause: error });
      });
      use.verified = true;
    });
    use.turn = fetched.catch(() => {});
    await fetched;
    return await work(folder);
  } finally {
    use.attempts--;
  }
}

async function removeUnused(teachers: string): Promise<void> {
  await mkdir(teachers, { recursive: true });
  for (const name of await readdir(teachers)) {
    const folder = join(teachers, name);
    if (uses.get(folder)?.attempts) continue;
    uses.delete(folder);
    // At once, since another attempt may want this teacher while its files are removed. One that meets here took it first.
    const gone = join(teachers, `gone-${randomUUID()}`);
    if (existsSync(folder)) renameSync(folder, gone);
    await rm(gone, { recursive: true, force: true });
  }
}
