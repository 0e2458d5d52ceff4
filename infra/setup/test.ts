import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { variable } from '../../src/runtime/variables.ts';

/**
 * `npm test`: types, lint and every test, one after another and all of them even when one fails. The last line says
 * what passed; a failed type check or lint counts as one failure. Arguments go to vitest (`npm test -- test/storage`).
 *
 * Some 3,000 tests run against real processes and servers, two files at once. What takes long has a short form, and its long
 * one (`test/support/long.ts`) where `--long` asks for it. A file that fails among them
 * runs a second time, alone: what fails again has failed, what passes then is named as unsteady, to be looked into.
 */
const root = fileURLToPath(new URL('../..', import.meta.url));

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

function run(program: string, args: readonly string[], changes: NodeJS.ProcessEnv = {}): boolean {
  process.stdout.write(`\n> ${program} ${args.join(' ')}\n`);
  const env = { ...process.env, ...changes };
  const { status } = spawnSync(join(root, 'node_modules/.bin', program), args, { cwd: root, stdio: 'inherit', env });
  return status === 0;
}

interface FileResult {
  readonly name: string;
  readonly status: string;
  readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
}

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly FileResult[];
}

/** Counts of vitest's JSON report; a file that could not even be loaded is one failure. */
export function countTests(report: VitestReport, ended: boolean): Counts {
  const broken = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const failed = report.numFailedTests + broken;
  return {
    passed: report.numPassedTests,
    // vitest also fails on errors outside any test.
    failed: ended ? failed : Math.max(failed, 1),
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** More files than this at once are no accident. */
const fewFiles = 4;

/** The files to run once more: a few whose tests failed. None where vitest itself, or the loading of a file, did. */
export function filesAgain(report: VitestReport): string[] {
  const failed = report.testResults.filter(({ status }) => status === 'failed');
  const ofTests = failed.every((file) => file.assertionResults.some(({ status }) => status === 'failed'));
  return ofTests && failed.length <= fewFiles ? failed.map(({ name }) => name) : [];
}

const named = (report: VitestReport, wanted: string) =>
  report.testResults.flatMap(({ name, assertionResults }) =>
    assertionResults.filter(({ status }) => status === wanted).map(({ fullName }) => `${name}: ${fullName}`),
  );

/** The tests that failed first, and passed when their files were run again. */
export function unsteadyTests(first: VitestReport, again: VitestReport): string[] {
  const passed = new Set(named(again, 'passed'));
  return named(first, 'failed').filter((test) => passed.has(test));
}

/** Runs vitest and reads its report. */
function vitest(args: readonly string[], long: boolean): { report: VitestReport; ended: boolean } {
  const folder = mkdtempSync(join(tmpdir(), 'siglip2-test-'));
  const file = join(folder, 'report.json');
  const slowest = join(root, 'test/support/slowest-files.ts');
  const reporters = ['--reporter=default', '--reporter=json', `--reporter=${slowest}`, `--outputFile.json=${file}`];
  try {
    const ended = run('vitest', ['run', ...reporters, ...args], long ? { TEST_LONG: '1' } : {});
    return { report: JSON.parse(readFileSync(file, 'utf8')), ended };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runVitest(args: readonly string[], long: boolean): Counts {
  try {
    const { report, ended } = vitest(args, long);
    const counts = countTests(report, ended);
    // Who names tests wants to see them fail.
    const again = args.length > 0 || ended ? [] : filesAgain(report);
    if (again.length === 0) return counts;
    const second = vitest([...again, '--maxWorkers=1'], long);
    const unsteady = second.ended ? unsteadyTests(report, second.report) : [];
    for (const test of unsteady) process.stdout.write(`\nunsteady, failed once and passed alone: ${test}\n`);
    return { ...counts, passed: counts.passed + unsteady.length, failed: counts.failed - unsteady.length };
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

export function summary({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

const program = new Command('npm test --')
  .description('Checks types, lints, and runs every test. Arguments go to vitest, such as test/storage or -t NAME.')
  .argument('[arguments...]', 'of vitest')
  .option('--long', 'kill marathons and the like in their long forms, which have short ones else', false)
  .allowUnknownOption()
  .action(testEverything);

function testEverything(args: readonly string[], { long }: { readonly long: boolean }): void {
  const checks = [run('tsc', []), run('biome', ['check', '.']), run('tsx', ['infra/lint/arrows.ts'])];
  const counts = runVitest(args, long);
  for (const good of checks) good ? counts.passed++ : counts.failed++;
  process.stdout.write(`\n${summary(counts)}\n`);
  // `.ci/run` repeats it as its last line, after whatever npm adds.
  const summaryFile = variable('SIGLIP2_TEST_SUMMARY');
  if (summaryFile) writeFileSync(summaryFile, `${summary(counts)}\n`);
  process.exitCode = counts.failed > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await program.parseAsync();
