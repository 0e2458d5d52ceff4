import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isAlive, thisProcess } from './services-state.ts';

/** A folder for this process alone; those that killed workers left are removed. */
export function ownScratch(parent: string): string {
  mkdirSync(parent, { recursive: true, mode: 0o700 });
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
