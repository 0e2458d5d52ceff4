import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { newestCommit } from '../src/checkpoint/commits.ts';
import { toRef } from '../src/checkpoint/documents.ts';
import { restoreCheckpoint } from '../src/checkpoint/restore.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import { isRunnerError } from '../src/runtime/errors.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { beat } from './heartbeat.ts';
import { inputHash } from './shard-start.ts';
import type { RecoverInput } from './types.ts';

/** After damage: the newest checkpoint before it of which every byte verifies, of any revision; null when none does. */
export async function recoverCheckpoint(
  { store, scratch, log }: Dependencies,
  input: RecoverInput,
  attempt: Attempt,
): Promise<CheckpointRef | null> {
  const { plan, revision, belowStep } = input;
  const heart = beat(attempt);
  const folder = join(scratch, plan.run, plan.phase, attempt.id);
  try {
    for (let r = revision, top = belowStep - 1; r >= 0; ) {
      const onDamaged = (error: Error) => log.warn({ run: plan.run }, error.message);
      const commit = await newestCommit(store, plan, r, { toStep: top, onDamaged });
      // Those of older revisions may have had other settings; they are this run's own all the same.
      if (!commit || (r === revision && commit.inputHash !== inputHash(input, commit.step))) {
        r--;
        top = belowStep - 1;
        continue;
      }
      try {
        await restoreCheckpoint(store, commit, folder, { signal: attempt.signal });
        return toRef(commit);
      } catch (error) {
        if (!isRunnerError(error, 'CheckpointDamaged')) throw error;
        log.warn({ run: plan.run }, error.message);
        top = commit.step - 1;
      }
    }
    return null;
  } finally {
    heart.stop();
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}
