import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeOwnFolder } from './make-folder.ts';
import { isAlive, thisProcess } from './services-state.ts';

/** A folder for this process alone below that of a variable; those that killed processes left are removed. */
export function ownScratch(parent: string, variable = 'SIGLIP2_SCRATCH'): string {
  makeOwnFolder(parent, variable);
  for (const folder of deadScratch(parent)) rmSync(folder, { recursive: true, force: true });
  const { pid, start } = thisProcess();
  const folder = join(parent, `worker-${pid}-${start ?? 0}`);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** The folders of processes that ended without taking theirs away. */
export function deadScratch(parent: string): string[] {
  if (!existsSync(parent)) return [];
  return readdirSync(parent).flatMap((name) => {
    const [, pid, start] = /^worker-(\d+)-(\d+)$/.exec(name) ?? [];
    return pid && start && !isAlive({ pid: Number(pid), start }) ? [join(parent, name)] : [];
  });
}
