import { Command } from 'commander';

export interface FaultOptions {
  readonly weather: boolean;
  readonly kills: number;
  readonly seed: number;
  readonly graph: boolean;
  readonly acid: boolean;
  readonly rounds: boolean;
  readonly workers: number;
}

/** The command line of `npm run faults`. */
export const faultsProgram = () =>
  new Command('npm run faults --')
    .description('Kills what a run needs at random points, and checks that every run ends with the same bytes.')
    .option('--kills <number>', 'number of faults in all', (text) => Number(text), 50)
    .option('--seed <number>', 'seed of the schedule', (text) => Number(text), 1)
    .option('--weather', 'also cut networks, slow the store down, let it fail, fill the disk', false)
    .option('--graph', 'use the whole phase graph instead of one phase', false)
    .option('--acid', 'use a phase of active curation instead of one phase', false)
    .option('--rounds', 'use a phase of four replicas in rounds, on several workers', false)
    .option('--workers <number>', 'of rounds: how many', (text) => Number(text), 8);
