import { Command } from 'commander';

export interface ScalerOptions {
  readonly workers: number;
  readonly runs: number;
  readonly kills: number;
  readonly seed: number;
}

/** The command line of `npm run scaler`. */
export const scalerProgram = () =>
  new Command('npm run scaler --')
    .description(
      'Starts workers for what waits by the rule of a KEDA ScaledJob, kills some, and checks that nothing is lost or done twice.',
    )
    .option('--workers <number>', 'most workers at once, each with 0.5 GB of memory', (text) => Number(text), 8)
    .option('--runs <number>', 'runs that arrive', (text) => Number(text), 10)
    .option('--kills <number>', 'workers that are killed while they train', (text) => Number(text), 8)
    .option('--seed <number>', 'seed of arrivals and kills', (text) => Number(text), 1);
