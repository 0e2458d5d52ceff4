import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { newestCommit } from '../src/checkpoint/commits.ts';
import { toRef } from '../src/checkpoint/documents.ts';
import { restoreCheckpoint } from '../src/checkpoint/restore.ts';
import type { CheckpointRef, Commit } from '../src/checkpoint/types.ts';
import { isRunnerError } from '../src/runtime/errors.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { beat } from './heartbeat.ts';
import { inputHash } from './shard-start.ts';
import type { RecoverInput } from './types/shard.ts';

/** After damage: the newest checkpoint before it of which every byte verifies, of any revision; null when none does. */
export async function recoverCheckpoint(
  { store, scratch, log }: Dependencies,
  input: RecoverInput,
  attempt: Attempt,
): Promise<CheckpointRef | null> {
  const { plan, revision, belowStep } = input;
  const heart = beat(attempt);
  const folder = join(scratch, plan.run, plan.phase, attempt.id);
  const onDamaged = (error: Error) => log.warn({ run: plan.run }, error.message);
  const isOwn = (commit: Commit) => commit.inputHash === inputHash(input, commit.step);
  try {
    // Older revisions may have had other settings, also those that an earlier start of the run has left: they are taken
    // when there are no others.
    return (await newestWhole(isOwn)) ?? (await newestWhole((commit) => commit.revision < revision || isOwn(commit)));
  } finally {
    heart.stop();
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }

  async function newestWhole(takes: (commit: Commit) => boolean): Promise<CheckpointRef | null> {
    for (let r = revision, top = belowStep - 1; r >= 0; ) {
      const commit = await newestCommit(store, plan, r, { toStep: top, onDamaged });
      if (!commit || !takes(commit)) {
        r--;
        top = belowStep - 1;
        continue;
      }
      try {
        await restoreCheckpoint(store, commit, folder, { signal: attempt.signal });
        return toRef(commit);
      } catch (error) {
        if (!isRunnerError(error, 'CheckpointDamaged')) throw error;
        onDamaged(error);
        top = commit.step - 1;
      }
    }
    return null;
  }
}
