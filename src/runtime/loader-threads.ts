import { availableParallelism } from 'node:os';
import { RunnerError } from './errors.ts';
import { variable } from './variables.ts';

const most = 256;

/** Of threads that several trainers share each has so many, and one at least. */
export const share = (threads: number, trainers: number): number => Math.max(1, Math.floor(threads / trainers));

/**
 * Threads that make rows of batches. It is a matter of the machine, and no setting of a recipe: the bytes of a batch are the
 * same for any number, so a run may go on elsewhere with another. SetupMissing for what is no number of threads.
 */
export function loaderThreads(env: NodeJS.ProcessEnv = process.env): number {
  const given = variable('SIGLIP2_LOADER_THREADS', env) ?? '';
  if (given === '') return Math.max(1, availableParallelism() - 1);
  const count = Number(given);
  if (Number.isInteger(count) && count >= 1 && count <= most) return count;
  throw new RunnerError(
    'SetupMissing',
    `SIGLIP2_LOADER_THREADS is ${JSON.stringify(given)}: set it to a whole number from 1 to ${most}, or leave it out`,
  );
}
