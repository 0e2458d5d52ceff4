import { relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isRunnerError } from '../../src/runtime/errors.ts';
import { type PartName, partNames, prepare } from './prepare.ts';
import { trainerEnvironment } from './tensorflow.ts';

/**
 * The second half of every command, after `bootstrap.mjs`: provides the native parts that the script needs and runs
 * it in this process, as if it had been typed. Services fetch their own programs when they are started. In an image
 * (`infra/images/start.ts`) they are there.
 */
const root = fileURLToPath(new URL('../..', import.meta.url));

// Commands that only talk to Temporal or the bucket, quick on a machine that never trains.
const withoutTensorflow: readonly string[] = ['env', 'ls', 'pin', 'unpin', 'rm', 'status', 'pull'];

function partsFor(script: string, command: string | undefined): readonly PartName[] {
  if (script === 'infra/setup/test.ts') return partNames;
  if (script === 'infra/setup/setup.ts') return [];
  if (script === 'src/cli.ts' && withoutTensorflow.includes(command ?? '')) return [];
  return ['tensorflow'];
}

const [mode, script = '', ...args] = process.argv.slice(2);
const path = resolve(script);
process.argv = [process.argv[0]!, path, ...args];
try {
  if (mode === '--prepared') await prepare(partsFor(relative(root, path), args[0]));
  // The trainer is a child of what runs here, and inherits where the CUDA libraries are.
  if (mode !== '--as-it-is') Object.assign(process.env, await trainerEnvironment());
  await import(pathToFileURL(path).href);
} catch (error) {
  if (!isRunnerError(error)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
