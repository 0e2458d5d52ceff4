import { isRunnerError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';
import { variable } from './variables.ts';

/**
 * Ends a command with one sentence on stderr and exit code 1. Stacks are for those who ask: SIGLIP2_DEBUG=1. An
 * error that nobody foresaw says where to get one.
 */
export function reportError(error: unknown, env: NodeJS.ProcessEnv = process.env): void {
  process.exitCode = exitCodes.failed.code;
  if (variable('SIGLIP2_DEBUG', env)) return void process.stderr.write(`${(error as Error).stack ?? error}\n`);
  const message = error instanceof Error ? error.message.split('\n')[0] || error.name : String(error);
  if (isRunnerError(error)) process.stderr.write(`${error.message}\n`);
  else process.stderr.write(`${message} (SIGLIP2_DEBUG=1 shows where)\n`);
}
