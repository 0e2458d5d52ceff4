import { spawnSync } from 'node:child_process';

let known: boolean | undefined;

/**
 * A command whose process the kernel ends as soon as the one that starts it is gone, by whatever it went: prctl's
 * PR_SET_PDEATHSIG, by util-linux, which becomes the command itself. The same command where there is no such program.
 */
export function boundCommand(file: string, args: readonly string[]): readonly [file: string, args: readonly string[]] {
  known ??= spawnSync(setpriv, [...bound, 'true']).status === 0;
  return known ? [setpriv, [...bound, file, ...args]] : [file, args];
}

const setpriv = '/usr/bin/setpriv';
const bound = ['--pdeathsig', 'KILL', '--'];
