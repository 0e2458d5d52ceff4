import { Command } from 'commander';

/** `npm run compose`: what `infra/compose` runs in containers, as processes of this machine. Builds a Temporal server once. */
export const composeProgram = (): Command =>
  new Command('npm run compose --')
    .description(
      'Trains on a Temporal server with PostgreSQL, kills them meanwhile, and checks that the bytes are the same.',
    )
    .option(
      '--kills <number>',
      'how often PostgreSQL is killed, and as often the Temporal server',
      (text) => Number(text),
      2,
    );
