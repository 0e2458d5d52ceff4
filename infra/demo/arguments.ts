import { Command } from 'commander';

export interface DemoOptions {
  readonly json?: string;
  readonly full?: boolean;
  readonly recipe?: string;
  readonly name: string;
}

/** The command line of `npm run demo`. */
export const demoProgram = () =>
  new Command('npm run demo --')
    .description(
      'Trains a small SigLIP 2 on emoji on this machine, evaluates and exports it, and prints what it can do.',
    )
    .option('--json <file>', 'also write the figures to a file')
    .option('--full', 'train the whole phase graph of the paper instead of pretrain alone')
    .option('--recipe <file>', 'use another recipe for the emoji data')
    .option(
      '--name <run>',
      'name of the run',
      `demo-${new Date()
        .toISOString()
        .replace(/[-:]|\..*/g, '')
        .replace('T', '-')}`,
    );
