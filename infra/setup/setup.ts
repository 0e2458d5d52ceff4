import { Command } from 'commander';
import { formatDoctor, inspect } from './doctor.ts';

/** `npm run setup`: everything was provided before this runs; say what there is. */
const program = new Command('npm run setup --')
  .description('Provides TensorFlow, Temporal and the S3 server in the cache, and says what there is.')
  .action(async () => void process.stdout.write(`${formatDoctor(await inspect())}\n`));

await program.parseAsync();
