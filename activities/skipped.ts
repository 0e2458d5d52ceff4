import type { CorruptMember } from '../src/data/index/types.ts';
import type { ActivityLog } from './dependencies.ts';

/** More than this and the list in the manifest is the place to look. */
const mostLines = 100;

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
