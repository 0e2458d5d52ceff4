import { existsSync } from 'node:fs';
import { access, chmod, constants, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, delimiter, join } from 'node:path';
import { RunnerError } from '../../src/runtime/errors.ts';
import { withLock } from '../../src/runtime/lock.mjs';
import { type VariableName, variable } from '../../src/runtime/variables.ts';
import { downloadFile } from './download.ts';
import { type GoProgram, pins } from './pins.ts';
import type { Progress } from './progress.ts';
import { runTool } from './run-tool.ts';

export type ProgramName = 'temporal' | 'versitygw' | 'temporal-server' | 'helm' | 'kubeconform';

export interface Program {
  readonly path: string;
  readonly version: string;
  readonly source: string;
}

const variables: Partial<Record<ProgramName, VariableName>> = {
  temporal: 'SIGLIP2_TEMPORAL',
  versitygw: 'SIGLIP2_VERSITYGW',
  'temporal-server': 'SIGLIP2_TEMPORAL_SERVER',
};
const titles: Readonly<Record<ProgramName, string>> = {
  temporal: 'the Temporal CLI',
  versitygw: 'the S3 server versitygw',
  'temporal-server': 'the Temporal server',
  helm: 'Helm',
  kubeconform: 'kubeconform',
};

/** Where the cache has a program; moved there in one step. The folder can be put on PATH. */
export function programPath(cache: string, name: ProgramName): string {
  return join(cache, `${name}-${pins[name].version}`, name);
}

/** The version that a program reports, or null when it can't be run. */
export async function programVersion(path: string, name: ProgramName): Promise<string | null> {
  const said = await runTool(path, pins[name].versionArguments ?? ['--version']).catch(() => null);
  return said === null ? null : (/\d+\.\d+\.\d+/.exec(said)?.[0] ?? 'unknown');
}

/** What is there without fetching anything: the environment, the cache, PATH (in the same minor version). */
export async function findProgram(
  cache: string,
  name: ProgramName,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Program | null> {
  const named = variables[name];
  const own = named && variable(named, env);
  if (own) {
    const version = await programVersion(own, name);
    if (version) return { path: own, version, source: named };
    throw new RunnerError(
      'SetupMissing',
      `${named} is ${own}, which can't be run; give the path of ${titles[name]}, or unset it to have it fetched`,
    );
  }
  const cached = programPath(cache, name);
  if (existsSync(cached)) return { path: cached, version: pins[name].version, source: 'cache' };
  for (const folder of (variable('PATH', env) ?? '').split(delimiter).filter(Boolean)) {
    const path = join(folder, name);
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    const version = runs ? await programVersion(path, name) : null;
    if (version && fits(version, pins[name].version)) return { path, version, source: 'PATH' };
  }
  return null;
}

/** Same major version and at least the pinned minor one. */
export function fits(version: string, pinned: string): boolean {
  const [major, minor] = version.split('.').map(Number);
  const [wantMajor, wantMinor] = pinned.split('.').map(Number);
  return major === wantMajor && minor! >= wantMinor!;
}

/** Finds a program, else downloads the vendor's, else builds it from its Go module (minutes). */
export async function provideProgram(name: ProgramName, progress: Progress, cache: string): Promise<Program> {
  const found = await findProgram(cache, name);
  if (found) return found;
  const path = programPath(cache, name);
  const { version } = pins[name];
  const lock = join(cache, 'locks', `${name}-${version}.lock`);
  const fetch = async (): Promise<Program> => {
    if (existsSync(path)) return { path, version, source: 'cache' };
    const work = join(cache, `${name}-${version}.partial`);
    // Go's own folders stay from a build that was cut off: it goes on where it was.
    for (const name of ['bin', 'unpacked']) await removeTree(join(work, name));
    await mkdir(work, { recursive: true });
    const source =
      (await download(name, pins[name], work, progress)) ?? (await build(name, pins[name], work, progress));
    const got = await programVersion(join(work, 'bin', name), name);
    if (got !== version)
      throw new RunnerError('SetupMissing', `${titles[name]} was fetched but reports version ${got}, not ${version}`);
    await removeTree(join(cache, `${name}-${version}`));
    await rename(join(work, 'bin'), join(cache, `${name}-${version}`));
    await removeTree(work);
    return { path, version, source };
  };
  return withLock(lock, fetch, () => progress.say(`Another process is fetching ${titles[name]}; waiting for it`));
}

async function download(name: ProgramName, program: GoProgram, work: string, progress: Progress) {
  const archive = program.archives[`${process.platform}-${process.arch}`];
  if (!archive) return null;
  const file = join(work, `${name}.tar.gz`);
  const reached = await downloadFile({ ...archive, file, what: `${name} ${program.version}` }, progress);
  if (!reached) return null;
  await mkdir(join(work, 'unpacked'));
  await runTool('tar', ['-xzf', file, '-C', join(work, 'unpacked')]);
  const members = await readdir(join(work, 'unpacked'), { recursive: true });
  const member = members.find((path) => path === name || path.endsWith(`/${name}`));
  if (!member) throw new RunnerError('SetupMissing', `the published archive of ${titles[name]} holds no ${name}`);
  await mkdir(join(work, 'bin'));
  await rename(join(work, 'unpacked', member), join(work, 'bin', name));
  await chmod(join(work, 'bin', name), 0o755);
  return "vendor's download";
}

/** `go install` checks the module and all that it needs against Go's checksum database. */
async function build(name: ProgramName, program: GoProgram, work: string, progress: Progress): Promise<string> {
  const env = {
    ...process.env,
    GOBIN: join(work, 'bin'),
    GOMODCACHE: join(work, 'modules'),
    GOCACHE: join(work, 'objects'),
    // Without it the module folders are read-only and can't be removed.
    GOFLAGS: `${variable('GOFLAGS') ?? ''} -modcacherw`.trim(),
  };
  const modules = { [name]: program.module, ...program.beside };
  const flags = ['-s', '-w', ...(program.versionVariable ? ['-X', program.versionVariable] : [])].join(' ');
  const targets = Object.values(modules).map((module) => `${module}@v${program.version}`);
  await progress.during(`Building ${name} ${program.version} from its Go module (minutes)`, () =>
    runTool('go', ['install', '-ldflags', flags, ...targets], {
      env,
      install: `install Go 1.25 or newer, or ${variables[name] ? `set ${variables[name]} to the program` : `put ${name} on PATH`}`,
    }),
  );
  // Go names a program after the last part of its path.
  for (const [called, module] of Object.entries(modules)) {
    const built = join(work, 'bin', basename(module));
    if (basename(module) !== called) await rename(built, join(work, 'bin', called));
  }
  return 'Go module';
}

/** Also what a killed build left. */
async function removeTree(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
}
