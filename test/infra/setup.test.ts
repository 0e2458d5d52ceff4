import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { addonPath, addonVersion, tfjsFolder } from '../../infra/setup/addon.ts';
import { doctor } from '../../infra/setup/doctor.ts';
import { findProgram, fits } from '../../infra/setup/go-program.ts';
import { libTensorflowFolder } from '../../infra/setup/libtensorflow.ts';
import { prepare } from '../../infra/setup/prepare.ts';
import { silent } from '../../infra/setup/progress.ts';
import { paths } from '../../src/runtime/paths.ts';

const folder = mkdtempSync(join(tmpdir(), 'siglip2-setup-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('set-up that is done costs no time and changes nothing', async () => {
  await prepare();
  const addon = join(tfjsFolder(), addonPath);
  const before = statSync(addon);
  const began = Date.now();
  const provided = await prepare(undefined, {
    ...silent,
    during: () => Promise.reject(new Error('something was done')),
  });
  expect(Date.now() - began).toBeLessThan(3_000);
  expect(statSync(addon)).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
  expect(Object.keys(provided)).toEqual(['tensorflow', 'versitygw', 'temporal']);
});

test('two set-ups at once compile one addon, which TensorFlow answers through', async () => {
  const compiler = join(folder, 'c++');
  const calls = join(folder, 'calls');
  // The real compiler, counted, and without the optimiser's minute.
  writeFileSync(compiler, `#!/bin/sh\necho call >> ${calls}\nexec ${process.env.CXX || 'c++'} "$@" -O0\n`);
  chmodSync(compiler, 0o755);
  const cache = join(folder, 'cache');
  const script = `
    import { provideAddon } from ${JSON.stringify(new URL('../../infra/setup/addon.ts', import.meta.url).href)};
    import { readLibTensorflow } from ${JSON.stringify(new URL('../../infra/setup/libtensorflow.ts', import.meta.url).href)};
    const library = await readLibTensorflow(process.argv[1], 'cache');
    const progress = { during: (_, work) => work(), say() {} };
    console.log(await provideAddon(process.argv[2], 'cpu', library, progress));
  `;
  const library = process.env.SIGLIP2_LIBTENSORFLOW ?? libTensorflowFolder(paths().cache, 'cpu');
  const args = ['--import', 'tsx', '--input-type=module', '-e', script, library, cache];
  const run = () =>
    new Promise<string>((resolve, reject) => {
      const child = spawn(process.execPath, args, { env: { ...process.env, CXX: compiler } });
      let out = '';
      let words = '';
      child.stdout.on('data', (text) => {
        out += text;
      });
      child.stderr.on('data', (text) => {
        words += text;
      });
      child.once('close', (code) => (code === 0 ? resolve(out.trim()) : reject(new Error(words))));
    });
  const [one, two] = await Promise.all([run(), run()]);
  expect(one).toBe(two);
  expect(readFileSync(calls, 'utf8')).toBe('call\n');
  expect(await addonVersion(one)).toMatch(/^2\.\d+\.\d+$/);
  expect(existsSync(`${one}.partial`)).toBe(false);
}, 120_000);

test('a program of the environment wins, and one that cannot be run is named', async () => {
  const tool = join(folder, 'temporal');
  writeFileSync(tool, '#!/bin/sh\necho temporal version 9.8.7\n');
  chmodSync(tool, 0o755);
  const found = await findProgram(folder, 'temporal', { SIGLIP2_TEMPORAL: tool, PATH: process.env.PATH });
  expect(found).toEqual({ path: tool, version: '9.8.7', source: 'SIGLIP2_TEMPORAL' });
  await expect(findProgram(folder, 'temporal', { SIGLIP2_TEMPORAL: '/nowhere/temporal' })).rejects.toThrow(
    "SIGLIP2_TEMPORAL is /nowhere/temporal, which can't be run",
  );
});

test('a program on PATH is used only in a version that fits', async () => {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const tool = join(bin, 'versitygw');
  const install = (version: string) => {
    writeFileSync(tool, `#!/bin/sh\necho "Version  : v${version}"\n`);
    chmodSync(tool, 0o755);
  };
  install('1.7.9');
  expect(await findProgram(join(folder, 'no-cache'), 'versitygw', { PATH: bin })).toBeNull();
  install('1.9.2');
  expect(await findProgram(join(folder, 'no-cache'), 'versitygw', { PATH: bin })).toMatchObject({ path: tool });
  expect([fits('1.5.1', '1.5.1'), fits('2.5.1', '1.5.1'), fits('1.10.0', '1.5.1')]).toEqual([true, false, true]);
});

test('the doctor names what is missing and the one command to type', async () => {
  const healthy = await doctor();
  expect(healthy.good, healthy.text).toBe(true);
  const { text, good } = await doctor({ SIGLIP2_CACHE: join(folder, 'empty'), PATH: '' });
  expect(good).toBe(false);
  expect(text).toContain('NO  TensorFlow    libtensorflow 2.21.0 is not there; type npm run setup');
  expect(text).toContain('NO  Temporal CLI  temporal 1.5.1 is not there; type npm run setup');
});
