import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { sweepIndexes } from '../data/example/sweep-indexes.ts';
import { allowedPlace, placePattern } from '../recipe/places.ts';
import { type ReadSettings, readProblems, readSchema } from '../recipe/reading.ts';
import { RunnerError } from '../runtime/errors.ts';
import { objectStoreFromEnvironment } from '../storage/s3.ts';
import { addAnnotateCommand } from './annotate-command.ts';
import { addBenchmarkCommand } from './benchmark-command.ts';
import { addDataEmbedCommand } from './data-embed-command.ts';
import { statsOfData } from './data-stats.ts';
import { addFilterCommand } from './filter-command.ts';
import { formatStats } from './format-stats.ts';
import { formatLook, lookAtData } from './look-at-data.ts';
import { nowAndThen } from './now-and-then.ts';
import { openStore } from './open-store.ts';
import { print, say } from './output.ts';
import { addPackCommand } from './pack-commands.ts';
import { picturesOfPage, statsPage } from './stats-page.ts';

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
    .action(async (prefix: string, { all, read, json }: ReadOptions) => {
      requirePlace(prefix);
      const options = { all: all === true, ...(read !== undefined && { read: readOption(read) }) };
      const look = await lookAtData(objectStoreFromEnvironment(), prefix, options);
      print(json ? `${JSON.stringify(look)}\n` : formatLook(look));
    });
  addPackCommand(data);
  addBenchmarkCommand(data);
  addAnnotateCommand(data);
  addFilterCommand(data);
  addDataEmbedCommand(data);
  data
    .command('stats <prefix>')
    .description('count sizes, languages, lengths and copies of the examples below a prefix, of some or of all')
    .option('--all', 'look at every shard and every picture, not at some of them, evenly spread')
    .option('--read <json>', 'read them as data.read of a recipe says, instead of guessing')
    .option('--json', 'print JSON, with the examples that can not be used')
    .option('--html <file>', 'write a page of pictures with their texts and boxes, too')
    .action(async (prefix: string, { all, read, json, html }: ReadOptions & { html?: string }) => {
      requirePlace(prefix);
      const { stats, shown } = await statsOfData(objectStoreFromEnvironment(), prefix, {
        ...{ all: all === true, pictures: html === undefined ? 0 : picturesOfPage, note: nowAndThen(say) },
        ...(read !== undefined && { read: readOption(read) }),
      });
      if (html !== undefined) await writePage(html, statsPage(stats, shown));
      print(json ? `${JSON.stringify(stats)}\n` : formatStats(stats));
    });
  data
    .command('sweep')
    .description('delete indexes and token sets, older than a day, of shards that are gone or were replaced')
    .option('--now', 'delete them whatever their age')
    .action(async ({ now }: { now?: boolean }) => {
      const { looked, deleted, named } = await sweepIndexes(await openStore(), { graceMs: now ? 0 : 24 * 3_600_000 });
      const kept = named === 0 ? '' : `; ${named} of such shards stay, since runs name them`;
      print(`${deleted.length} of ${looked} indexes and token sets deleted${kept}\n`);
    });
}

interface ReadOptions {
  readonly all?: boolean;
  readonly read?: string;
  readonly json?: boolean;
}

function requirePlace(prefix: string): void {
  if (placePattern.test(prefix)) return;
  throw new RunnerError('RecipeInvalid', `prefix is "${prefix}"; allowed: ${allowedPlace(prefix)}`);
}

async function writePage(file: string, page: string): Promise<void> {
  await writeFile(file, page).catch((cause) => {
    const why = `${file} can't be written (${cause.code}); name a file in a folder that is there`;
    throw new RunnerError('RecipeInvalid', why, { cause });
  });
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
