import type { Command } from 'commander';
import { type CheckResult, checkPrefix, cleanLeft, runChecks } from '../storage/checks/run.ts';
import { objectStoreFromEnvironment } from '../storage/s3.ts';
import { print, say } from './output.ts';

const partBytes = 5 * 1024 * 1024;

/** `siglip2 check-store`: what the store of this environment does, and what would not work on it. */
export function addCheckStoreCommand(program: Command): void {
  program
    .command('check-store')
    .description('try all that runs ask of the store, and say what would not work on it; about 900 requests, 120 MiB')
    .option('--prefix <prefix>', 'where in the bucket it may write and delete', 'runs/')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nIt ends with 0 when runs work on the store, and with 1 when something would not.')
    .action(async ({ prefix: below, json }: { prefix: string; json?: boolean }) => {
      const small = { multipartAbove: partBytes, partBytes, pageKeys: 3 };
      const stores = {
        store: objectStoreFromEnvironment(),
        small: objectStoreFromEnvironment(process.env, small),
      };
      const { store } = stores;
      const prefix = checkPrefix(below);
      // What hinders everything is one sentence, and not sixty.
      await store.put(`${prefix}here`, '');
      await cleanLeft(store, below, prefix);
      say(
        `Works below s3://${store.bucket}/${prefix} and cleans it up, also after Ctrl-C; if it is killed, the next check-store does, an hour later`,
      );
      const stop = new AbortController();
      const onSignal = (signal: NodeJS.Signals) => {
        say(`${signal}: cleaning up after the check that is under way`);
        process.exitCode = signal === 'SIGINT' ? 130 : 143;
        stop.abort();
      };
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal);
      const results: CheckResult[] = [];
      for await (const result of runChecks(stores, prefix, { signal: stop.signal })) {
        results.push(result);
        if (!json) print(formatResult(result, results.at(-2)));
      }
      for (const one of Object.values(stores)) one.close();
      if (json)
        print(`${JSON.stringify({ bucket: store.bucket, prefix: below, whole: !stop.signal.aborted, results })}\n`);
      if (stop.signal.aborted) return;
      if (!json) print(formatSummary(results));
      if (results.some(isHindrance)) process.exitCode = 1;
    });
}

export const isHindrance = ({ outcome, without }: CheckResult): boolean => outcome === 'fail' && without !== undefined;

/** A line for a check, below the name of its group; what failed has a second one. */
export function formatResult(result: CheckResult, before: CheckResult | undefined): string {
  const { group, what, outcome, found, ms } = result;
  const head = group === before?.group ? '' : `${group}\n`;
  if (outcome === 'pass')
    return `${head}  ok    ${what}${found ? ` (${found})` : ''}${ms > 2000 ? `, ${(ms / 1000).toFixed(1)} s` : ''}\n`;
  return `${head}  ${isHindrance(result) ? 'NO  ' : 'note'}  ${what}\n        ${found}\n`;
}

/** What would not work, each loss once, or that all does. */
export function formatSummary(results: readonly CheckResult[]): string {
  const passed = results.filter(({ outcome }) => outcome === 'pass').length;
  const count = `${passed} of ${results.length} checks passed`;
  const losses = new Set(results.filter(isHindrance).map(({ without }) => without!));
  if (losses.size === 0)
    return `\n${count}. Runs work on this store${passed < results.length ? '; the notes say what it lacks that they can do without' : ''}.\n`;
  return `\n${count}. On this store:\n${[...losses].map((loss) => `  - ${loss}\n`).join('')}`;
}
