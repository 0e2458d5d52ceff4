import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeOwnFolder } from './make-folder.ts';
import { isAlive, thisProcess } from './services-state.ts';

/** A folder for this process alone below that of `SIGLIP2_SCRATCH`; those that killed workers left are removed. */
export function ownScratch(parent: string): string {
  makeOwnFolder(parent, 'SIGLIP2_SCRATCH');
  for (const name of readdirSync(parent)) {
    const [, pid, start] = /^worker-(\d+)-(\d+)$/.exec(name) ?? [];
    if (pid && start && !isAlive({ pid: Number(pid), start }))
      rmSync(join(parent, name), { recursive: true, force: true });
  }
  const { pid, start } = thisProcess();
  const folder = join(parent, `worker-${pid}-${start ?? 0}`);
  mkdirSync(folder, { recursive: true });
  return folder;
}
