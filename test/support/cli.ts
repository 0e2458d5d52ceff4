import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Answer, answerOf } from './answer-of.ts';
import { cliStart } from './start.ts';

/** Types a command of siglip2, as a person does: what it said, and ended with. `env` comes beside that of this process. */
export function cli(env: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<Answer> {
  const child = spawn(process.execPath, [...cliStart, ...args], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { ...process.env, ...env },
  });
  child.stdin.end();
  return answerOf(child);
}
