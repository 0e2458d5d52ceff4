import { spawn } from 'node:child_process';
import { RunnerError } from '../../src/runtime/errors.ts';

export interface ToolOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** What to type when the program is not there. */
  readonly install?: string;
}

/** Runs a program to its end and returns its stdout. A failure names the program and its last words. */
export async function runTool(command: string, args: readonly string[], options: ToolOptions = {}): Promise<string> {
  const child = spawn(command, args, {
    env: options.env ?? process.env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let words = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-4000);
  });
  const end = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(signal ?? code ?? 1));
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new RunnerError('SetupMissing', `${command} is needed and not installed; ${options.install ?? 'install it'}`);
  });
  if (end === 0) return out;
  const shown = [command, ...args.slice(0, 2)].join(' ');
  throw new RunnerError('SetupMissing', `${shown} ended with ${end}: ${lastLines(words || out)}`);
}

/** The end of what a program said, without the credentials that an address may hold. */
function lastLines(text: string): string {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
  return lines
    .slice(-3)
    .join(' | ')
    .replace(/\/\/[^/\s@]+@/g, '//');
}
