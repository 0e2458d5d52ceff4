import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const git = async (...args: string[]) =>
  (await run('git', ['-C', root, ...args], { maxBuffer: 1 << 26 })).stdout.trim();

/** The commit before the one that gave package.json its version; null in a clone that does not reach back so far. */
export async function lastRelease(): Promise<string | null> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  try {
    const changes = await git('log', '--format=%H', '-S', `"version": "${version}"`, '--', 'package.json');
    // A version that is not committed yet follows what is.
    const before = changes === '' ? 'HEAD' : `${changes.split('\n').at(-1)}^`;
    return await git('rev-parse', '--verify', '--quiet', before);
  } catch {
    return null;
  }
}

/** Lays the code of a commit into a folder, with the packages that it names. */
export async function layOut(commit: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const archive = join(folder, '..', `${commit}.tar`);
  await git('archive', '--output', archive, commit);
  await run('tar', ['-xf', archive, '-C', folder]);
  const [wanted, here] = await Promise.all([packagesOf(folder), packagesOf(root)]);
  // What came since is in nobody's way.
  if ([...wanted].every(([path, version]) => here.get(path) === version))
    return symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  await run('npm', ['ci', '--prefer-offline', '--no-audit', '--no-fund'], { cwd: folder, maxBuffer: 1 << 26 });
}

/** Versions of what is installed, by where it lies. */
async function packagesOf(folder: string): Promise<Map<string, string | undefined>> {
  const { packages } = JSON.parse(await readFile(join(folder, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version?: string }>;
  };
  return new Map(
    Object.entries(packages).flatMap(([path, { version }]) => (path === '' ? [] : [[path, version] as const])),
  );
}
