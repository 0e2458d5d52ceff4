import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { buildFolder, nameOfBuild, scripts } from '../../infra/setup/build.mjs';
import { builtOf, startOf } from '../../src/runtime/built.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'siglip2-build-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', env: { ...process.env, ...env } });

describe('a build', () => {
  it('has every script that a process or a thread is started with', () => {
    const names = ['activities', 'src'].flatMap((room) =>
      readdirSync(join(root, room), { recursive: true, encoding: 'utf8' }).map((name) => join(room, name)),
    );
    const started = names
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) =>
        [...readFileSync(join(root, name), 'utf8').matchAll(/new URL\('([^']+\.ts)', import\.meta\.url\)/g)].map(
          ([, to]) => fileURLToPath(new URL(to!, pathToFileURL(join(root, name)))),
        ),
      )
      // Temporal makes a bundle of this one.
      .filter((file) => file !== join(root, 'workflows/index.ts'));
    expect(started).toHaveLength(7);
    expect(scripts.map((script) => join(root, script))).toEqual(expect.arrayContaining(started));
    for (const script of scripts) expect(builtOf(pathToFileURL(join(root, script)).href), script).not.toBeNull();
  });

  it('is made once, and is another after any change of the code, of the packages or of the place', async () => {
    expect(await buildFolder()).toBe(process.env.SIGLIP2_BUILD);
    const clone = join(folder, 'clone');
    for (const name of ['activities', 'infra', 'src', 'workflows']) mkdirSync(join(clone, name), { recursive: true });
    const write = (name: string, text: string) => writeFileSync(join(clone, name), text);
    write('package-lock.json', '{}');
    write('src/a.ts', 'export const a = 1;');
    const seen = [nameOfBuild(clone)];
    expect(nameOfBuild(clone)).toBe(seen[0]);
    const changes: readonly [string, string][] = [
      ['src/a.ts', 'export const a = 2;'],
      ['workflows/b.mjs', ''],
      ['infra/c.json', '{}'],
      ['package-lock.json', '{ }'],
    ];
    for (const [name, text] of changes) {
      write(name, text);
      seen.push(nameOfBuild(clone));
    }
    cpSync(clone, join(folder, 'moved'), { recursive: true });
    seen.push(nameOfBuild(join(folder, 'moved')));
    expect(new Set(seen).size).toBe(seen.length);
    // What no process is made of changes nothing.
    write('src/README.md', 'words');
    expect(nameOfBuild(clone)).toBe(seen.at(-2));
  });

  it('runs as its source does, which stands for it where there is none', () => {
    const { flags, file } = startOf(join(root, 'src/cli.ts'));
    const compiled = run([...flags, file, 'ls', '--help']);
    const source = run(['--import', 'tsx', 'src/cli.ts', 'ls', '--help'], { SIGLIP2_BUILD: '' });
    expect(compiled).toMatchObject({ status: 0, stdout: source.stdout, stderr: '' });
    const ask = "import { startOf } from './src/runtime/built.mjs'; console.log(startOf(process.argv[1]).flags[0]);";
    for (const SIGLIP2_BUILD of ['', join(folder, 'swept')])
      expect(run(['--input-type=module', '-e', ask, 'src/cli.ts'], { SIGLIP2_BUILD }).stdout).toBe('--import\n');
  });

  it('tells of a fault by the line of the source', () => {
    // A thread's module, which has nobody to answer here.
    const { flags, file } = startOf(join(root, 'src/data/batches/token-thread.ts'));
    const { status, stderr } = run([...flags, file]);
    expect(status).toBe(1);
    expect(stderr).toContain(`at answer (${join(root, 'src/runtime/answer.ts')}:14:`);
    expect(stderr).toContain(`${join(root, 'src/data/batches/token-thread.ts')}:6:`);
  });
});
