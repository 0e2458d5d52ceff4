import { mkdirSync, mkdtempSync, rmdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { RunnerError } from './errors.ts';

/**
 * Makes a folder and tries to write there. SetupMissing when that can't be, with what to do.
 *
 * @param remedy what to type or to set, up to the words "a folder that can"
 */
export function makeFolder(folder: string, remedy: string, mode = 0o777): void {
  try {
    makeLevels(resolve(folder), mode);
    rmdirSync(mkdtempSync(join(folder, '.writes-')));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const full = code === 'ENOSPC' || code === 'EDQUOT';
    throw new RunnerError(
      full ? 'DiskFull' : 'SetupMissing',
      `${folder} can't be written to (${code}); ${remedy} a folder that can, on a disk with room`,
      { cause },
    );
  }
}

/** A folder that a variable names, for this user alone. */
export const makeOwnFolder = (folder: string, variable: string): void =>
  makeFolder(folder, `set ${variable} to`, 0o700);

/** Level by level: Node's own way never comes back where a parent takes no folders and says ENOENT, as /proc does. */
function makeLevels(folder: string, mode: number): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return;
  const parent = dirname(folder);
  if (parent !== folder) makeLevels(parent, mode);
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    // Another process may have made it meanwhile; a file of that name is found out by writing.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
