import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { linkProblem, nodeProblem, packagesFit } from '../../infra/setup/bootstrap.mjs';
import { countTests, filesAgain, summary, unsteadyTests } from '../../infra/setup/test.ts';
import { slowestFiles } from '../support/slowest-files.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const bootstrap = join(root, 'infra/setup/bootstrap.mjs');
const folder = mkdtempSync(join(tmpdir(), 'siglip2-bootstrap-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('Node 20.20 to 24 will do, and no other', () => {
  const fine = ['20.20.0', 'v20.20.2', '22.0.0', '24.21.3'].map(nodeProblem);
  expect(fine).toEqual([null, null, null, null]);
  for (const version of ['18.20.4', '20.19.9', '25.0.0', '26.1.0']) {
    expect(nodeProblem(version)).toContain(`needs Node 20.20 to 24, and this is Node ${version};`);
  }
});

test('another Node is refused in one sentence before anything is done', () => {
  const pretend = `data:text/javascript,Object.defineProperty(process.versions, 'node', { value: '18.20.4' })`;
  const run = spawnSync(process.execPath, ['--import', pretend, bootstrap, 'src/cli.ts'], { encoding: 'utf8' });
  expect(run.status).toBe(1);
  expect(run.stdout).toBe('');
  expect(run.stderr.trim().split('\n')).toHaveLength(1);
  expect(run.stderr).toContain('this is Node 18.20.4; install another');
});

test('a command that is set up prints only its own words, and its exit status comes through', () => {
  const script = join(folder, 'hello.ts');
  writeFileSync(script, `process.stdout.write(process.argv.slice(2).join(' ') as string);\nprocess.exitCode = 7;\n`);
  const run = spawnSync(process.execPath, [bootstrap, script, 'one', '--two'], { encoding: 'utf8', cwd: folder });
  expect(run).toMatchObject({ status: 7, stdout: 'one --two', stderr: '' });
});

test('a signal ends the command, and the shell is told so', () => {
  const script = join(folder, 'signal.ts');
  writeFileSync(script, `process.kill(process.ppid, 'SIGTERM');\nsetTimeout(() => {}, 60_000);\n`);
  const run = spawnSync(process.execPath, [bootstrap, script], { encoding: 'utf8' });
  expect(run.signal).toBe('SIGTERM');
}, 30_000);

test('packages that are missing, of another version or half installed are seen', () => {
  expect(packagesFit(root)).toBe(true);
  const clone = join(folder, 'clone');
  mkdirSync(join(clone, 'node_modules/a'), { recursive: true });
  const write = (file: string, packages: object) => writeFileSync(join(clone, file), JSON.stringify({ packages }));
  const wanted = {
    '': {},
    'node_modules/a': { version: '1.0.0' },
    'node_modules/b': { version: '1.0.0', optional: true },
  };
  write('package-lock.json', wanted);
  expect(packagesFit(clone)).toBe(false);
  write('node_modules/.package-lock.json', { 'node_modules/a': { version: '1.0.0' } });
  expect(packagesFit(clone)).toBe(true);
  write('node_modules/.package-lock.json', { 'node_modules/a': { version: '1.0.1' } });
  expect(packagesFit(clone)).toBe(false);
  write('node_modules/.package-lock.json', { 'node_modules/a': { version: '1.0.0' } });
  rmSync(join(clone, 'node_modules/a'), { recursive: true });
  expect(packagesFit(clone)).toBe(false);
});

test('packages behind a link are left as they are, and what to do is said', () => {
  const clone = join(folder, 'linked');
  mkdirSync(join(clone, 'infra/setup'), { recursive: true });
  mkdirSync(join(clone, 'src/runtime'), { recursive: true });
  for (const file of ['infra/setup/bootstrap.mjs', 'src/runtime/built.mjs', 'src/runtime/lock.mjs'])
    copyFileSync(join(root, file), join(clone, file));
  const behind = join(folder, 'behind');
  mkdirSync(join(behind, 'kept'), { recursive: true });
  writeFileSync(join(clone, 'package-lock.json'), '{"packages": {"node_modules/a": {"version": "1.0.0"}}}');
  expect(linkProblem(clone)).toBe(null);
  symlinkSync(behind, join(clone, 'node_modules'));
  const env = { ...process.env, SIGLIP2_CACHE: join(folder, 'cache') };
  const run = spawnSync(process.execPath, [join(clone, 'infra/setup/bootstrap.mjs'), 'test.ts'], {
    encoding: 'utf8',
    env,
  });
  expect(run.status).toBe(1);
  expect(run.stderr).toBe(`${linkProblem(clone)}\n`);
  expect(run.stderr).toContain('remove the link, and type the same command again');
  expect(readdirSync(behind)).toEqual(['kept']);
});

test('package-lock.json has the packages of every platform, as npm ci wants it', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const names = new Set(Object.keys(packages).map((path) => path.split('node_modules/').at(-1)));
  const lists = Object.values<{ optionalDependencies?: Record<string, string> }>(packages);
  const optional = lists.flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}));
  expect(optional.length).toBeGreaterThan(50);
  expect(optional.filter((name) => !names.has(name))).toEqual([]);
});

test('a test file that cannot be loaded and an error outside of tests count as failures', () => {
  const report = { numPassedTests: 5, numFailedTests: 1, numPendingTests: 1, numTodoTests: 1 };
  const files = [
    {
      name: 'a.test.ts',
      status: 'failed',
      assertionResults: [
        { status: 'failed', fullName: 'one' },
        { status: 'passed', fullName: 'two' },
      ],
    },
    { name: 'b.test.ts', status: 'failed', assertionResults: [] },
  ];
  expect(summary(countTests({ ...report, testResults: files }, false))).toBe('5 passed, 2 failed, 2 skipped');
  const clean = { numPassedTests: 5, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [] };
  expect(summary(countTests(clean, true))).toBe('5 passed, 0 failed');
  expect(summary(countTests(clean, false))).toBe('5 passed, 1 failed');
  expect(filesAgain({ ...report, testResults: files })).toEqual([]);
});

test('a few files whose tests failed run once more, and only a test that passes then is unsteady', () => {
  const counts = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 };
  const file = (name: string, ...statuses: string[]) => ({
    name,
    status: statuses.includes('failed') ? 'failed' : 'passed',
    assertionResults: statuses.map((status, at) => ({ status, fullName: `test ${at}` })),
  });
  const reportOf = (...testResults: ReturnType<typeof file>[]) => ({ ...counts, testResults });
  const first = reportOf(file('a', 'failed', 'failed', 'passed', 'failed'), file('b', 'passed'));
  expect(filesAgain(first)).toEqual(['a']);
  expect(unsteadyTests(first, reportOf(file('a', 'passed', 'failed', 'passed')))).toEqual(['a: test 0']);
  const many = ['a', 'b', 'c', 'd', 'e'].map((name) => file(name, 'failed'));
  expect(filesAgain(reportOf(...many))).toEqual([]);
  expect(filesAgain(reportOf(...many.slice(1)))).toHaveLength(4);
});

test('of a whole run the files that took longest are named, the longest first, and of a few files none', () => {
  const files = Array.from({ length: 50 }, (_, i) => ({ file: `${i}.test.ts`, seconds: (i * 7) % 50 }));
  const lines = slowestFiles(files);
  expect(lines).toHaveLength(40);
  expect(lines.slice(0, 2)).toEqual(['   49 s  7.test.ts', '   48 s  14.test.ts']);
  expect(slowestFiles(files.slice(0, 40))).toEqual([]);
});

test("the count is the last line of .ci/run, whatever npm says after it, and its status is npm's", () => {
  const clone = join(folder, 'ci');
  mkdirSync(join(clone, '.ci'), { recursive: true });
  mkdirSync(join(clone, 'bin'));
  copyFileSync(join(root, '.ci/run'), join(clone, '.ci/run'));
  const npm = join(clone, 'bin/npm');
  const run = (script: string) => {
    writeFileSync(npm, `#!/bin/sh\n${script}\n`);
    chmodSync(npm, 0o755);
    const { stdout, status } = spawnSync('bash', [join(clone, '.ci/run')], {
      encoding: 'utf8',
      env: { ...process.env, PATH: `${join(clone, 'bin')}:${process.env.PATH}` },
    });
    return { status, last: stdout.trimEnd().split('\n').at(-1) };
  };
  const count = `echo '3 passed, 1 failed' > "$SIGLIP2_TEST_SUMMARY"`;
  expect(run(`${count}; echo noise; exit 1`)).toEqual({ status: 1, last: '3 passed, 1 failed' });
  expect(run('echo set-up failed; exit 3')).toEqual({ status: 3, last: '0 passed, 1 failed' });
  expect(run('exit 0')).toEqual({ status: 1, last: '0 passed, 1 failed' });
});

test('a script that needs another environment from its start gets a process of its own, and its exit code comes back', () => {
  const script = join(folder, 'asks.ts');
  writeFileSync(
    script,
    "process.stdout.write(process.env.LD_LIBRARY_PATH + ' ' + process.argv[2]); process.exitCode = 7;",
  );
  const { href } = new URL('../../infra/setup/bootstrap.mjs', import.meta.url);
  const own = `import { handOver } from '${href}'; handOver(['--as-it-is', '${script}', 'told'], { ...process.env, LD_LIBRARY_PATH: '/opt/cuda' })`;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', own], { encoding: 'utf8' });
  expect(run.stderr).toBe('');
  expect(run.stdout).toBe('/opt/cuda told');
  expect(run.status).toBe(7);
});
