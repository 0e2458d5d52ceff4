import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { prepare } from '../../infra/setup/prepare.ts';

/** What the pinned `temporal` says to a command that a person types against a server. */
export async function typed(address: string, ...words: string[]): Promise<string> {
  const { temporal: binary } = await prepare(['temporal']);
  const env = { ...process.env, TEMPORAL_ADDRESS: address };
  const run = promisify(execFile)(binary!, words, { env });
  const { stdout, stderr } = await run.catch((error: { stdout: string; stderr: string }) => error);
  return stdout + stderr;
}
