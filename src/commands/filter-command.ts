import type { Command } from 'commander';
import { readFilter } from '../data/index/filter-document.ts';
import { type FilterReport, formatFilter, reportOf } from '../filtering/report.ts';
import { type FilterSettings, parseFilter } from '../filtering/settings.ts';
import { objectStoreFromEnvironment } from '../storage/s3.ts';
import { madeBy } from './follow-workflow.ts';
import { print } from './output.ts';
import { settingsInput } from './settings-input.ts';

interface FilterFlags {
  readonly read?: string;
  readonly duplicates?: string | true;
  readonly settings?: string;
  readonly detach?: boolean;
  readonly json?: boolean;
}

/** Filters of one name are one after the other, whoever starts them. */
export const filterId = (name: string): string => `filter-${name}`;

/** `siglip2 data filter`. */
export function addFilterCommand(data: Command): void {
  data
    .command('filter <name> [prefix...]')
    .description('weigh the examples of the shards below a prefix before training; without a prefix, show a filter')
    .option('--duplicates [of]', 'leave out copies of pictures: image, or pair for those with the same texts alone')
    .option('--read <json>', 'how the shards are read, as data.read of a recipe')
    .option('--settings <file>', 'a JSON file with these and all other steps and settings')
    .option('--detach', 'start it and leave')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nIt goes on when this command ends, and when it is typed again it is followed again. The shards are left as they are.',
    )
    .action(async (name: string, prefixes: string[], flags: FilterFlags) => {
      const { settings, duplicates, read } = flags;
      const shows = prefixes.length === 0 && (settings ?? duplicates ?? read) === undefined;
      const of = duplicates === true ? {} : { of: duplicates };
      const own = { name, read, duplicates: duplicates && of };
      const report = shows
        ? reportOf(await readFilter(objectStoreFromEnvironment(), name))
        : await made(parseFilter(await settingsInput(settings, prefixes, own)), flags.detach === true);
      if (report) print(flags.json ? `${JSON.stringify(report)}\n` : formatFilter(report));
    });
}

/** The report of a filter once it is made; null where nobody waits for it. */
function made(settings: FilterSettings, detach: boolean): Promise<FilterReport | null> {
  const id = filterId(settings.name);
  const other = `wait for its end, or temporal workflow cancel --workflow-id ${id}`;
  return madeBy('siglip2Filter', id, settings, { memo: 'filter', what: 'filter', other, named: 'a filter', detach });
}
