import { readManifest } from '../src/checkpoint/manifest.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import { SkippedMembers } from '../src/data/index/skipped-members.ts';
import type { CorruptMember } from '../src/data/index/types.ts';
import type { ActivityLog, Dependencies } from './dependencies.ts';
import type { PhasePlan, SkippedOf } from './types.ts';

/** More than this and the list in the manifest is the place to look. */
const mostLines = 100;

/** What a checkpoint's phase has not used of its data. It is for people: whoever can't read it goes on without. */
export async function skippedBy(
  { store, log }: Dependencies,
  { run, phase, members }: PhasePlan,
  checkpoint: CheckpointRef,
): Promise<SkippedOf | null> {
  try {
    const summary = new SkippedMembers((await readManifest(store, checkpoint)).manifest.skipped).summary();
    return summary && { ...summary, ...(members !== undefined && { of: members }) };
  } catch (error) {
    log.warn({ run, phase }, `what was not used could not be looked up: ${(error as Error).message}`);
    return null;
  }
}

/** What was told of each run by this worker: its activities meet the same members. */
const toldOf = new Map<string, Set<string>>();
const mostRuns = 100;

function told(run: string): Set<string> {
  const before = toldOf.get(run) ?? new Set<string>();
  toldOf.delete(run);
  toldOf.set(run, before);
  if (toldOf.size > mostRuns) toldOf.delete(toldOf.keys().next().value!);
  return before;
}

/** Says in the worker's log which members of the data are skipped and why, each once a run. */
export function skippedLog(
  log: ActivityLog,
  run: { run: string; phase?: string },
): (found: readonly CorruptMember[]) => void {
  return (found) => {
    const known = told(run.run);
    for (const { shard, name, reason } of found) {
      const member = `${shard} ${name}`;
      if (known.has(member) || known.size >= mostLines) continue;
      known.add(member);
      log.warn({ ...run, shard, name, reason }, 'skipped: this part of the data can not be used');
    }
  };
}
