import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DefaultLogger } from '@temporalio/worker';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { workflowBundle } from '../../src/runtime/workflow-bundle.ts';

let root: string;
let workflowsPath: string;
let made = 0;
/** Webpack's report of a bundle that it made. */
const logger = new DefaultLogger('INFO', ({ message }) => {
  if (message === 'Workflow bundle created') made++;
});
const long = new Date('2026-01-01');

function write(name: string, text: string): void {
  writeFileSync(join(root, name), text);
  utimesSync(join(root, name), long, long);
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bundle-'));
  symlinkSync(fileURLToPath(new URL('../../node_modules', import.meta.url)), join(root, 'node_modules'));
  write('index.ts', "export { greet } from './greet.ts';\n");
  write('greet.ts', "export const greet = async (): Promise<string> => 'good day';\n");
  workflowsPath = join(root, 'index.ts');
  made = 0;
});
afterEach(() => rmSync(root, { recursive: true }));

it('is made once, anew when a file that it was made of is another, and anew when it is damaged', async () => {
  const folder = join(root, 'cache', 'workflows');
  const bundle = () => workflowBundle({ workflowsPath, logger, folder });
  const first = await bundle();
  expect(first.code).toContain('good day');
  expect((await bundle()).code).toBe(first.code);
  expect(made).toBe(1);
  const files = readdirSync(folder);
  expect(files).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.bundle$/)]);

  write('greet.ts', "export const greet = async (): Promise<string> => 'good night';\n");
  const second = await bundle();
  expect(second.code).toContain('good night');
  expect(second.code).not.toContain('good day');
  expect((await bundle()).code).toBe(second.code);
  expect([made, readdirSync(folder)]).toEqual([2, files]);

  const file = join(folder, files[0]!);
  const bytes = readFileSync(file);
  writeFileSync(file, bytes.subarray(0, bytes.length / 2));
  expect((await bundle()).code).toBe(second.code);
  expect(made).toBe(3);
});

it('is made of what is there where a file has just changed or the folder takes nothing', async () => {
  const folder = join(root, 'cache');
  writeFileSync(join(root, 'greet.ts'), "export const greet = async (): Promise<string> => 'good evening';\n");
  const soon = new Date(Date.now() + 60_000);
  utimesSync(join(root, 'greet.ts'), soon, soon);
  expect((await workflowBundle({ workflowsPath, logger, folder })).code).toContain('good evening');
  // Nobody knows whether what was read is what is there now.
  expect(readdirSync(folder)).toEqual([]);
  write('a-file', '');
  expect((await workflowBundle({ workflowsPath, logger, folder: join(root, 'a-file') })).code).toContain('evening');
  expect(made).toBe(2);
});
