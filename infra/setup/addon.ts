import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { lstat, mkdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { RunnerError } from '../../src/runtime/errors.ts';
import { withLock } from '../../src/runtime/lock.mjs';
import { variable } from '../../src/runtime/variables.ts';
import type { DeviceKind } from './device.ts';
import type { LibTensorflow } from './libtensorflow.ts';
import { pins } from './pins.ts';
import type { Progress } from './progress.ts';
import { runTool } from './run-tool.ts';

const require = createRequire(import.meta.url);
const installCompiler = 'install a C++ compiler (on Debian: apt-get install g++), or set CXX to one';

/** The folder of @tensorflow/tfjs-node-gpu in node_modules. */
export function tfjsFolder(): string {
  return dirname(require.resolve('@tensorflow/tfjs-node-gpu/package.json'));
}

/** One build for each (TensorFlow, tfjs, cpu or cuda); a library of the user's own gets one for its path. */
export function addonFolder(cache: string, kind: DeviceKind, library: LibTensorflow): string {
  const { version, tfjs } = pins.tensorflow;
  const own = library.source === 'SIGLIP2_LIBTENSORFLOW';
  const name = own ? `own-${createHash('sha256').update(library.folder).digest('hex').slice(0, 12)}` : kind;
  return join(cache, `tfjs-node-${tfjs}-tensorflow-${version}-${name}`);
}

export const addonPath = join('lib', 'napi-v8', 'tfjs_binding.node');

/**
 * Compiles the package's own, unchanged binding against `library`. It uses Node-API 8 alone, so one build serves
 * every Node, and the headers of `node-api-headers` are enough.
 */
async function compile(folder: string, library: LibTensorflow): Promise<void> {
  const lib = join(folder, 'deps', 'lib');
  await mkdir(lib, { recursive: true });
  await mkdir(dirname(join(folder, addonPath)), { recursive: true });
  await symlink(library.include, join(folder, 'deps', 'include'));
  for (const target of [library.library, library.framework]) {
    const soname = basename(target);
    // The linker looks for the short names, the loader for those that the library calls itself.
    const short = soname.replace(/^libtensorflow_cc\b/, 'libtensorflow').replace(/\.so.*$/, '.so');
    for (const name of new Set([soname, short, `${short}.2`])) await symlink(target, join(lib, name));
  }
  const binding = join(tfjsFolder(), 'binding');
  const headers = join(dirname(require.resolve('node-api-headers/package.json')), 'include');
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => join(binding, name));
  await runTool(
    variable('CXX') || 'c++',
    [
      ...['-O2', '-std=c++17', '-fPIC', '-shared', '-DNAPI_VERSION=8', '-w'],
      ...[`-I${headers}`, `-I${tfjsFolder()}`, `-I${join(folder, 'deps', 'include')}`],
      ...sources,
      ...['-o', join(folder, addonPath), `-L${lib}`, '-ltensorflow', '-ltensorflow_framework'],
      '-Wl,-rpath,$ORIGIN/../../deps/lib',
    ],
    { install: installCompiler },
  );
}

/** Loads the addon in a process of its own and asks TensorFlow for its version. */
export async function addonVersion(folder: string): Promise<string> {
  const script = 'const m = { exports: {} }; process.dlopen(m, process.argv[1]); console.log(m.exports.TF_Version)';
  const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3' };
  return (await runTool(process.execPath, ['-e', script, join(folder, addonPath)], { env })).trim();
}

/** Compiles the addon if it is not there. Returns its folder, which holds `lib` and `deps`. */
export async function provideAddon(
  cache: string,
  kind: DeviceKind,
  library: LibTensorflow,
  progress: Progress,
): Promise<string> {
  const folder = addonFolder(cache, kind, library);
  if (existsSync(join(folder, addonPath))) return folder;
  const build = async () => {
    if (existsSync(join(folder, addonPath))) return folder;
    const work = `${folder}.partial`;
    await rm(work, { recursive: true, force: true });
    await progress.during("Compiling TensorFlow's addon for Node", () => compile(work, library));
    const version = await addonVersion(work);
    if (library.source !== 'SIGLIP2_LIBTENSORFLOW' && version !== pins.tensorflow.version)
      throw new RunnerError('SetupMissing', `the addon reports TensorFlow ${version}, not ${pins.tensorflow.version}`);
    await rm(folder, { recursive: true, force: true });
    await rename(work, folder);
    return folder;
  };
  return withLock(join(cache, 'locks', `${basename(folder)}.lock`), build, () =>
    progress.say('Another process is compiling the addon; waiting for it'),
  );
}

/** Points the package's `lib` and `deps` at the build, where its own loader looks for them. */
export async function linkAddon(folder: string, tfjs: string = tfjsFolder()): Promise<void> {
  for (const name of ['lib', 'deps']) {
    const link = join(tfjs, name);
    const target = join(folder, name);
    if ((await readlink(link).catch(() => null)) === target) continue;
    const there = await lstat(link).catch(() => null);
    if (there && !there.isSymbolicLink()) await rm(link, { recursive: true });
    // A rename replaces the old link in one step: a process that is loading finds one or the other.
    const fresh = `${link}.${process.pid}`;
    await symlink(target, fresh);
    await rename(fresh, link);
  }
}
