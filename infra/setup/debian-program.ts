import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { RunnerError } from '../../src/runtime/errors.ts';
import { withLock } from '../../src/runtime/lock.mjs';
import type { Progress } from './progress.ts';
import { runTool } from './run-tool.ts';

/** Packages of Debian that tests take programs from, and the programs: they need nothing beside them. */
const packages = { prometheus: ['prometheus', 'promtool'] } as const;

export type DebianPackage = keyof typeof packages;

/** Where the cache has the programs of a package. */
export const debianFolder = (cache: string, name: DebianPackage): string => join(cache, `debian-${name}`, 'usr', 'bin');

/**
 * Unpacks a package into the cache, and changes nothing of the system: no service starts. apt checks what it fetches by
 * Debian's keys. SetupMissing where there is no apt, or it has no such package.
 * @returns the folder of its programs
 */
export async function provideDebianPackage(name: DebianPackage, progress: Progress, cache: string): Promise<string> {
  const folder = debianFolder(cache, name);
  const isThere = () => packages[name].every((program) => existsSync(join(folder, program)));
  if (isThere()) return folder;
  const fetch = async (): Promise<string> => {
    if (isThere()) return folder;
    const work = join(cache, `debian-${name}.partial`);
    await rm(work, { recursive: true, force: true });
    await mkdir(work, { recursive: true });
    await progress.during(`Fetching ${name} of Debian`, () => download(name, work));
    const [archive] = (await readdir(work)).filter((file) => file.endsWith('.deb'));
    if (archive === undefined) throw new RunnerError('SetupMissing', `apt-get fetched nothing of ${name}`);
    await runTool('dpkg-deb', ['-x', join(work, archive), join(work, 'root')]);
    await rm(join(cache, `debian-${name}`), { recursive: true, force: true });
    await rename(join(work, 'root'), join(cache, `debian-${name}`));
    await rm(work, { recursive: true, force: true });
    return folder;
  };
  return withLock(join(cache, 'locks', `debian-${name}.lock`), fetch, () =>
    progress.say(`Another process is fetching ${name}; waiting for it`),
  );
}

/** A machine that never asked for lists of packages knows none. */
async function download(name: DebianPackage, cwd: string): Promise<void> {
  const install = `install ${packages[name].join(' and ')} and put them on PATH`;
  const get = () => runTool('apt-get', ['-o', 'APT::Sandbox::User=root', 'download', name], { cwd, install });
  await get().catch(async () => {
    await runTool('apt-get', ['update'], { install });
    await get();
  });
}
