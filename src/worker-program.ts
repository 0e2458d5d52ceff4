import { Command } from 'commander';
import { annotateQueue, deviceQueue } from '../workflows/policies.ts';
import { type DeviceWish, parseDevices } from './runtime/devices.ts';
import { RunnerError } from './runtime/errors.ts';
import { type RuleOptions, rulesOf, type WorkerRules } from './worker-life/rules.ts';

/** Task queue of workflows and light activities. */
export const lightQueue = 'siglip2';
/** Queues of which a worker takes one task at a time, of devices one for each, since each takes a whole device or all cores. */
export const shardQueues: readonly string[] = [deviceQueue, annotateQueue];
const allQueues = [lightQueue, ...shardQueues];

export interface WorkerOptions {
  /** Task queues that it serves. */
  readonly queues: readonly string[];
  readonly rules: WorkerRules;
  /** Null: the one that a worker has unasked. */
  readonly devices: DeviceWish | null;
}

/** The command line of `npm run worker`. */
export function workerProgram(run: (options: WorkerOptions) => Promise<void>): Command {
  return new Command('npm run worker --')
    .description('Runs workflows and trains until Ctrl-C, and then ends with a checkpoint.')
    .option(
      '--queues <names>',
      `task queues to serve: ${lightQueue} runs workflows, ${deviceQueue} trains, ${annotateQueue} runs detectors`,
      allQueues.join(','),
    )
    .option(
      '--devices <which>',
      'train on all GPUs, on some such as 0,2, or by several trainers on the CPU such as cpu:2',
    )
    .option('--exit-when-idle <duration>', 'end after so long without work, such as 120s, 10m or 1h')
    .option('--max-shards <number>', `end after so many shards of ${shardQueues.join(' and ')}`)
    .option('--max-hours <hours>', 'end with a checkpoint so long after the start, as a platform would without one')
    .option('--notice-file <path>', 'a file that appears when this machine is to be taken away')
    .option('--notice-url <address>', 'an address that says so, such as the metadata address of a cloud')
    .option('--notice-command <command>', 'a command that says so by its exit code 0')
    .action(async ({ queues, devices, ...options }: { queues: string; devices?: string } & RuleOptions) => {
      const wanted = queues.split(',').map((name) => name.trim());
      const unknown = wanted.find((name) => !allQueues.includes(name));
      if (unknown !== undefined)
        throw new RunnerError('RecipeInvalid', `--queues names ${unknown}; allowed are ${allQueues.join(', ')}`);
      const rules = rulesOf(options);
      if (rules.maxShards !== null && !wanted.some((name) => shardQueues.includes(name)))
        throw new RunnerError(
          'RecipeInvalid',
          `--max-shards counts work of ${shardQueues.join(' and ')}, and --queues ${queues} has none; add one of them, or use --exit-when-idle`,
        );
      const several = devices === undefined ? null : parseDevices(devices);
      if (several !== null && !wanted.includes(deviceQueue))
        throw new RunnerError(
          'RecipeInvalid',
          `--devices are for ${deviceQueue}, and --queues ${queues} has it not; add it, or leave --devices out`,
        );
      await run({ queues: wanted, rules, devices: several });
    });
}
