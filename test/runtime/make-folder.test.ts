import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { makeOwnFolder } from '../../src/runtime/make-folder.ts';
import { workerStart } from '../support/start.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'siglip2-make-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('makes every level for this user alone, leaves nothing in it, and takes what is there', () => {
  const deep = join(folder, 'a', 'b', 'c');
  makeOwnFolder(deep, 'SIGLIP2_SCRATCH');
  makeOwnFolder(deep, 'SIGLIP2_SCRATCH');
  expect(readdirSync(deep)).toEqual([]);
  for (const level of ['a', 'a/b', 'a/b/c']) expect(statSync(join(folder, level)).mode & 0o777).toBe(0o700);
});

it('names the variable of a folder that can not be written to, where Node itself would not come back', () => {
  writeFileSync(join(folder, 'file'), '');
  for (const [where, code] of [
    ['/proc/siglip2/scratch', 'ENOENT'],
    [join(folder, 'file'), 'ENOTDIR'],
  ] as const) {
    const make = () => makeOwnFolder(where, 'SIGLIP2_SCRATCH');
    expect(make).toThrow(
      `${where} can't be written to (${code}); set SIGLIP2_SCRATCH to a folder that can, on a disk with room`,
    );
  }
});

it('ends a worker at its start with that sentence', () => {
  const { status, stderr } = spawnSync(process.execPath, workerStart, {
    cwd: root,
    env: { ...process.env, SIGLIP2_STATE: join(folder, 'state'), SIGLIP2_SCRATCH: '/proc/siglip2' },
    timeout: 60_000,
    encoding: 'utf8',
  });
  expect(stderr).toBe(
    "/proc/siglip2 can't be written to (ENOENT); set SIGLIP2_SCRATCH to a folder that can, on a disk with room\n",
  );
  expect(status).toBe(1);
}, 90_000);
