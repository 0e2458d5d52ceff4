import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { namePattern, reportKey } from '../checkpoint/keys.ts';
import { comparisonPage, reportPage } from '../report/page.ts';
import { readComparison } from '../report/read/compare.ts';
import { readReport } from '../report/read/report.ts';
import { RunnerError } from '../runtime/errors.ts';
import { objectStoreFromEnvironment } from '../storage/s3.ts';
import { print } from './output.ts';

/** `siglip2 report`: a run as a page that can be sent to others, or two of them side by side. */
export function addReportCommand(program: Command): void {
  program
    .command('report <a> [b]')
    .description('write a page of a run, or of two runs, phases or results side by side; works without Temporal')
    .option('--output <file>', 'the page; by default A.html, or A-and-B.html')
    .addHelpText(
      'after',
      '\nWith two names each is RUN, RUN/PHASE, RUN/PHASE@STEP or the key of a result.json. A run writes its own page at its end.',
    )
    .action(async (a: string, b: string | undefined, { output }: { output?: string }) => {
      const store = objectStoreFromEnvironment();
      const page =
        b === undefined
          ? reportPage(await readReport(store, runNamed(a)))
          : comparisonPage(await readComparison(store, a, b));
      // What parts names is no character of a file name everywhere.
      const file =
        output ??
        `${[a, ...(b === undefined ? [] : [b])]
          .join('-and-')
          .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
          .slice(0, 200)}.html`;
      await writeFile(file, page).catch((cause) => {
        const why = `${file} can't be written (${cause.code}); name a file in a folder that is there with --output`;
        throw new RunnerError('RecipeInvalid', why, { cause });
      });
      const what = b === undefined ? `the report of ${a}` : `${a} and ${b} side by side`;
      print(`${file} has ${what}, ${Math.ceil(Buffer.byteLength(page) / 1024)} KiB\n`);
      if (b === undefined && (await store.head(reportKey(a))))
        print(`s3://${store.bucket}/${reportKey(a)} is the one that the run wrote\n`);
    });
}

/** RecipeInvalid for what can't be a run; a phase is told by its slash. */
export function runNamed(what: string): string {
  if (namePattern.test(what)) return what;
  const run = what.split('/')[0]!;
  throw new RunnerError(
    'RecipeInvalid',
    namePattern.test(run)
      ? `${JSON.stringify(what.slice(0, 100))} is in a run, and a report is of a whole run; type report ${run}, or name two to compare them`
      : `${JSON.stringify(what.slice(0, 100))} names no run; allowed: A-Z, a-z, 0-9, ., :, _ and -; npm run siglip2 -- ls lists runs`,
  );
}
