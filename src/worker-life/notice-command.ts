import { execFile } from 'node:child_process';

/** A command that takes longer says nothing in time. */
const patienceMs = 10_000;

/** Runs a command in a shell: exit code 0 is a notice, 1 to 125 is none. Throws when it does not run, or is stuck. */
export function askCommand(command: string): Promise<string | null> {
  return new Promise((resolve, reject) => {
    execFile(
      '/bin/sh',
      ['-c', command],
      { timeout: patienceMs, killSignal: 'SIGKILL', maxBuffer: 1 << 16 },
      (error) => {
        if (error === null) return resolve('exit code 0');
        const { code, signal, killed } = error;
        // A shell says 126 and 127 of what it can't run, and more of what a signal ended.
        if (typeof code === 'number' && code < 126) return resolve(null);
        if (killed) return reject(new Error(`it did not end within ${patienceMs / 1000} s, or wrote too much`));
        reject(new Error(`it could not be run (${signal ?? code})`));
      },
    );
  });
}
