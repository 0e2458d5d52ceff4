import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface FullDisk {
  /** Environment of the worker whose disk it is. */
  readonly environment: Readonly<Record<string, string>>;
  /** Afterwards there is room. */
  remove(): void;
}

const mount = (folder: string) =>
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', folder], { stdio: 'ignore' }).status === 0;

function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'siglip2-mount-'));
  const mounted = mount(folder);
  if (mounted) execFileSync('umount', [folder]);
  rmSync(folder, { recursive: true });
  return mounted;
}

/**
 * A disk too small for a snapshot, and large enough for the data: a real file system of 8 MB where this user may
 * mount one, elsewhere writes of snapshots that fail with what such a file system says.
 */
export const fullDisk = canMount()
  ? {
      how: 'a file system of 8 MB',
      make(folder: string): FullDisk {
        mkdirSync(folder);
        if (!mount(folder)) throw new Error(`could mount a moment ago, and can't mount ${folder}`);
        return { environment: {}, remove: () => void execFileSync('umount', ['-l', folder]) };
      },
    }
  : {
      how: 'injected ENOSPC: this user may not mount',
      make: (): FullDisk => ({
        environment: { NODE_OPTIONS: `--import ${new URL('no-space.mjs', import.meta.url).href}` },
        remove() {},
      }),
    };
