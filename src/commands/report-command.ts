import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { parseName } from '../checkpoint/names.ts';
import { reportPage } from '../report/page.ts';
import { RunnerError } from '../runtime/errors.ts';
import { objectStoreFromEnvironment } from '../storage/s3.ts';
import { print } from './output.ts';
import { readReport } from './read-report.ts';

/** `siglip2 report`: a run as a page that can be sent to others. */
export function addReportCommand(program: Command): void {
  program
    .command('report <run>')
    .description('write a page of a run: what was run, phases in time, losses, figures; works without Temporal')
    .option('--output <file>', 'the page; by default RUN.html')
    .action(async (what: string, { output }: { output?: string }) => {
      const { run, phase } = parseName(what);
      if (phase !== undefined)
        throw new RunnerError('RecipeInvalid', `${what} is a phase, and a report is of a run; type report ${run}`);
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
