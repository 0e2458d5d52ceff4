import { Command } from 'commander';
import { RunnerError } from '../../src/runtime/errors.ts';
import { formatDoctor, inspect } from './doctor.ts';
import { type PartName, partNames, prepare } from './prepare.ts';

/** `npm run setup`: provides the parts, and says what there is. */
const program = new Command('npm run setup --')
  .description('Provides TensorFlow, Temporal and the S3 server in the cache, and says what there is.')
  .option('--only <parts>', `these parts alone: ${partNames.join(', ')}`, partNames.join(','))
  .action(async ({ only }: { only: string }) => {
    const parts = only.split(',').map((name) => name.trim());
    const unknown = parts.find((name) => !(partNames as readonly string[]).includes(name));
    if (unknown !== undefined)
      throw new RunnerError('RecipeInvalid', `--only names ${unknown}; allowed are ${partNames.join(', ')}`);
    await prepare(parts as PartName[]);
    process.stdout.write(`${formatDoctor(await inspect())}\n`);
  });

await program.parseAsync();
