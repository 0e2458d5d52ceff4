import type { CorruptMember } from '../src/data/index/types.ts';
import type { ActivityLog } from './dependencies.ts';

/** More than this and the list in the manifest is the place to look. */
const mostLines = 100;

/** Says in the worker's log which members of the data are skipped and why, each once. */
export function skippedLog(
  log: ActivityLog,
  run: { run: string; phase?: string },
): (found: readonly CorruptMember[]) => void {
  const told = new Set<string>();
  return (found) => {
    for (const { shard, name, reason } of found) {
      const member = `${shard} ${name}`;
      if (told.has(member) || told.size >= mostLines) continue;
      told.add(member);
      log.warn({ ...run, shard, name, reason }, 'skipped: this part of the data can not be used');
    }
  };
}
