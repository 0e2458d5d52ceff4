import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { tryLock, withLock } from '../../src/runtime/lock.mjs';

const folder = mkdtempSync(join(tmpdir(), 'siglip2-lock-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('fifteen that want one lock hold it one after another', async () => {
  const file = join(folder, 'many.lock');
  let inside = 0;
  let most = 0;
  const work = async () => {
    most = Math.max(most, ++inside);
    await new Promise((resolve) => setTimeout(resolve, 1));
    inside--;
  };
  // Each waits 200 ms between two looks, so a handful at a time is enough.
  for (let round = 0; round < 3; round++) await Promise.all(Array.from({ length: 5 }, () => withLock(file, work)));
  expect(most).toBe(1);
  expect(existsSync(file)).toBe(false);
}, 30_000);

test('a lock is free again when its process was killed', async () => {
  const file = join(folder, 'dead.lock');
  const lock = JSON.stringify(new URL('../../src/runtime/lock.mjs', import.meta.url).href);
  const script = `import(${lock}).then(({ tryLock }) => tryLock(${JSON.stringify(file)})).then(() => process.kill(process.pid, 'SIGKILL'))`;
  const { signal } = spawnSync(process.execPath, ['-e', script]);
  expect(signal).toBe('SIGKILL');
  expect(existsSync(file)).toBe(true);
  const taken = await tryLock(file);
  expect(taken).not.toBeNull();
  expect(JSON.parse(readFileSync(file, 'utf8')).pid).toBe(process.pid);
  await taken?.release();
});

test('a lock of a process that lives is never taken, however old its file is', async () => {
  const file = join(folder, 'alive.lock');
  const held = await tryLock(file);
  utimesSync(file, 0, 0);
  expect(await tryLock(file)).toBeNull();
  await held?.release();
  expect(await tryLock(file).then((lock) => lock?.release())).toBeUndefined();
});

test('a process that has got the id of a dead holder does not keep its lock', async () => {
  const file = join(folder, 'reused.lock');
  const held = await tryLock(file);
  const holder = JSON.parse(readFileSync(file, 'utf8'));
  await held?.release();
  writeFileSync(file, JSON.stringify({ ...holder, start: '1' }));
  const taken = await tryLock(file);
  expect(taken).not.toBeNull();
  await taken?.release();
});

test('a holder on another machine is believed for two minutes after it last touched its file', async () => {
  const file = join(folder, 'elsewhere.lock');
  writeFileSync(file, JSON.stringify({ pid: 1, start: '1', machine: 'another' }));
  expect(await tryLock(file)).toBeNull();
  const before = Date.now() / 1000 - 121;
  utimesSync(file, before, before);
  const taken = await tryLock(file);
  expect(taken).not.toBeNull();
  await taken?.release();
});
