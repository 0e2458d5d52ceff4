import { Command } from 'commander';
import { annotateQueue, deviceQueue } from '../workflows/policies.ts';
import { RunnerError } from './runtime/errors.ts';

/** Task queue of workflows and light activities. */
export const lightQueue = 'siglip2';
const allQueues = [lightQueue, deviceQueue, annotateQueue];

/** The command line of `npm run worker`; `run` gets the task queues that it serves. */
export function workerProgram(run: (queues: readonly string[]) => Promise<void>): Command {
  return new Command('npm run worker --')
    .description('Runs workflows and trains until Ctrl-C, and then ends with a checkpoint.')
    .option(
      '--queues <names>',
      `task queues to serve: ${lightQueue} runs workflows, ${deviceQueue} trains, ${annotateQueue} runs detectors`,
      allQueues.join(','),
    )
    .action(async ({ queues }: { queues: string }) => {
      const wanted = queues.split(',').map((name) => name.trim());
      const unknown = wanted.find((name) => !allQueues.includes(name));
      if (unknown !== undefined)
        throw new RunnerError('RecipeInvalid', `--queues names ${unknown}; allowed are ${allQueues.join(', ')}`);
      await run(wanted);
    });
}
