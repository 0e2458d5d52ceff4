import type { Command } from 'commander';
import { allowedPlace, placePattern } from '../recipe/places.ts';
import { type ReadSettings, readProblems, readSchema } from '../recipe/reading.ts';
import { RunnerError } from '../runtime/errors.ts';
import { objectStoreFromEnvironment } from '../storage/s3.ts';
import { formatLook, lookAtData } from './look-at-data.ts';
import { print } from './output.ts';
import { addPackCommand } from './pack-commands.ts';

/** What a person does about data before a run. */
export function addDataCommands(program: Command): void {
  const data = program
    .command('data')
    .description('look at the data of strangers before a run is trained on them, and pack those of other layouts');
  data
    .command('look <prefix>')
    .description('say how the shards below a prefix can be read, and what of them can not be used')
    .option('--all', 'look at every shard and every picture, not at the first ones')
    .option('--read <json>', 'read them as data.read of a recipe says, instead of guessing')
    .option('--json', 'print JSON, with every example that can not be used')
    .action(async (prefix: string, { all, read, json }: { all?: boolean; read?: string; json?: boolean }) => {
      if (!placePattern.test(prefix))
        throw new RunnerError('RecipeInvalid', `prefix is "${prefix}"; allowed: ${allowedPlace(prefix)}`);
      const options = { all: all === true, ...(read !== undefined && { read: readOption(read) }) };
      const look = await lookAtData(objectStoreFromEnvironment(), prefix, options);
      print(json ? `${JSON.stringify(look)}\n` : formatLook(look));
    });
  addPackCommand(data);
}

function readOption(text: string): ReadSettings {
  const said = '--read takes what stands in data.read of a recipe, such as {"captions": "txt"}';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new RunnerError('RecipeInvalid', `${said}; this is no JSON: ${(cause as Error).message}`, { cause });
  }
  const parsed = readSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new RunnerError('RecipeInvalid', `${said}; ${issue!.path.join('.') || 'it'}: ${issue!.message}`);
  }
  const [problem] = readProblems(parsed.data, '--read');
  if (problem) throw new RunnerError('RecipeInvalid', problem.message);
  return parsed.data;
}
