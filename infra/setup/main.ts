import { relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { builtOf } from '../../src/runtime/built.mjs';
import { isRunnerError } from '../../src/runtime/errors.ts';
import { handOver } from './bootstrap.mjs';
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
  // Where the CUDA libraries are is read when a process starts, and this one has: TensorFlow would abort it.
  const cuda = mode === '--as-it-is' ? {} : await trainerEnvironment();
  const env = { ...process.env, ...cuda };
  if (mode === '--prepared' && Object.keys(cuda).length > 0) handOver(['--as-it-is', path, ...args], env);
  else {
    // The first process of a container stays what it is: a worker trains in a child, which inherits it.
    Object.assign(process.env, cuda);
    const { href } = pathToFileURL(path);
    await import(builtOf(href) ?? href);
  }
} catch (error) {
  if (!isRunnerError(error)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
