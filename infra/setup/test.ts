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
 */
const root = fileURLToPath(new URL('../..', import.meta.url));

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

function run(program: string, args: readonly string[]): boolean {
  process.stdout.write(`\n> ${program} ${args.join(' ')}\n`);
  const { status } = spawnSync(join(root, 'node_modules/.bin', program), args, { cwd: root, stdio: 'inherit' });
  return status === 0;
}

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly { status: string; assertionResults: readonly { status: string }[] }[];
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

function runVitest(args: readonly string[]): Counts {
  const folder = mkdtempSync(join(tmpdir(), 'siglip2-test-'));
  const file = join(folder, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  try {
    const ended = run('vitest', ['run', ...reporters, ...args]);
    return countTests(JSON.parse(readFileSync(file, 'utf8')), ended);
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function summary({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

const program = new Command('npm test --')
  .description('Checks types, lints, and runs every test. Arguments go to vitest, such as test/storage or -t NAME.')
  .argument('[arguments...]', 'of vitest')
  .allowUnknownOption()
  .action(testEverything);

function testEverything(args: readonly string[]): void {
  const checks = [run('tsc', []), run('biome', ['check', '.']), run('tsx', ['infra/lint/arrows.ts'])];
  const counts = runVitest(args);
  for (const good of checks) good ? counts.passed++ : counts.failed++;
  process.stdout.write(`\n${summary(counts)}\n`);
  // `.ci/run` repeats it as its last line, after whatever npm adds.
  const summaryFile = variable('SIGLIP2_TEST_SUMMARY');
  if (summaryFile) writeFileSync(summaryFile, `${summary(counts)}\n`);
  process.exitCode = counts.failed > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await program.parseAsync();
