import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { namePattern } from '../checkpoint/keys.ts';
import { reportPage } from '../report/page.ts';
import { readReport } from '../report/read/report.ts';
import { RunnerError } from '../runtime/errors.ts';
import { objectStoreFromEnvironment } from '../storage/s3.ts';
import { print } from './output.ts';

/** `siglip2 report`: a run as a page that can be sent to others. */
export function addReportCommand(program: Command): void {
  program
    .command('report <run>')
    .description('write a page of a run: what was run, phases in time, losses, figures; works without Temporal')
    .option('--output <file>', 'the page; by default RUN.html')
    .action(async (what: string, { output }: { output?: string }) => {
      const run = runNamed(what);
      // A colon is no character of a file name everywhere.
      const file = output ?? `${run.replaceAll(':', '-')}.html`;
      const page = reportPage(await readReport(objectStoreFromEnvironment(), run));
      await writeFile(file, page).catch((cause) => {
        const why = `${file} can't be written (${cause.code}); name a file in a folder that is there with --output`;
        throw new RunnerError('RecipeInvalid', why, { cause });
      });
      print(`${file} has the report of ${run}, ${Math.ceil(Buffer.byteLength(page) / 1024)} KiB\n`);
    });
}

/** RecipeInvalid for what can't be a run; a phase is told by its slash. */
export function runNamed(what: string): string {
  if (namePattern.test(what)) return what;
  const run = what.split('/')[0]!;
  throw new RunnerError(
    'RecipeInvalid',
    namePattern.test(run)
      ? `${JSON.stringify(what.slice(0, 100))} is in a run, and a report is of a whole run; type report ${run}`
      : `${JSON.stringify(what.slice(0, 100))} names no run; allowed: A-Z, a-z, 0-9, ., :, _ and -; npm run siglip2 -- ls lists runs`,
  );
}
