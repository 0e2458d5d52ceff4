import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RunnerError } from '../../src/runtime/errors.ts';
import { withLock } from '../../src/runtime/lock.mjs';
import { variable } from '../../src/runtime/variables.ts';
import type { DeviceKind } from './device.ts';
import { pins } from './pins.ts';
import type { Progress } from './progress.ts';
import { downloadWheel, unpackWheel } from './wheel.ts';

/** TensorFlow's C library and headers, wherever they come from. */
export interface LibTensorflow {
  readonly folder: string;
  readonly library: string;
  readonly framework: string;
  readonly include: string;
  /** Folders of CUDA libraries that the loader must know; none for the CPU build. */
  readonly cuda: readonly string[];
  readonly source: 'SIGLIP2_LIBTENSORFLOW' | 'cache' | 'Python package index';
}

const cudaParts = 'nvidia/[^/]+/lib/[^/]+\\.so|nvidia/cuda_nvcc/(bin|nvvm)/';

/**
 * Reads a folder as either the inside of a TensorFlow wheel (`tensorflow/libtensorflow_cc.so.2`) or an unpacked
 * libtensorflow archive (`lib/libtensorflow.so.2`). Null when it is neither.
 */
export async function readLibTensorflow(
  folder: string,
  source: LibTensorflow['source'],
): Promise<LibTensorflow | null> {
  for (const [libraries, headers] of [
    ['tensorflow', 'tensorflow/include'],
    ['.', 'include'],
    ['lib', 'include'],
  ] as const) {
    const first = (names: string[]) => names.map((name) => join(folder, libraries, name)).find(existsSync);
    const library = first(['libtensorflow_cc.so.2', 'libtensorflow.so.2', 'libtensorflow.so']);
    const framework = first(['libtensorflow_framework.so.2', 'libtensorflow_framework.so']);
    const include = join(folder, headers);
    if (!library || !framework || !existsSync(join(include, 'tensorflow/c/c_api.h'))) continue;
    const nvidia = join(folder, 'nvidia');
    const packages = existsSync(nvidia) ? await readdir(nvidia) : [];
    const cuda = packages.map((name) => join(nvidia, name, 'lib')).filter(existsSync);
    return { folder, library, framework, include, cuda, source };
  }
  return null;
}

/** Where the cache has this build. It is moved there in one step, so what exists is whole. */
export function libTensorflowFolder(cache: string, kind: DeviceKind): string {
  return join(cache, `tensorflow-${pins.tensorflow.version}-${kind}`);
}

/** What is there without fetching anything: `SIGLIP2_LIBTENSORFLOW`, else the cache. */
export async function findLibTensorflow(
  cache: string,
  kind: DeviceKind,
  env: NodeJS.ProcessEnv = process.env,
): Promise<LibTensorflow | null> {
  const own = variable('SIGLIP2_LIBTENSORFLOW', env);
  if (!own) return readLibTensorflow(libTensorflowFolder(cache, kind), 'cache');
  const found = await readLibTensorflow(own, 'SIGLIP2_LIBTENSORFLOW');
  if (found) return found;
  throw new RunnerError(
    'SetupMissing',
    `SIGLIP2_LIBTENSORFLOW is ${own}, which holds no libtensorflow with its include folder; give the folder of one, or unset it to have it fetched`,
  );
}

/** Finds libtensorflow or fetches it (about 0.3 GB for the CPU, 3 GB with CUDA; unpacked 0.9 and 6 GB). */
export async function provideLibTensorflow(
  cache: string,
  kind: DeviceKind,
  progress: Progress,
): Promise<LibTensorflow> {
  const found = await findLibTensorflow(cache, kind);
  if (found) return found;
  const folder = libTensorflowFolder(cache, kind);
  const wheel = pins.tensorflow.wheels[`${kind}-${process.arch}`];
  if (process.platform !== 'linux' || !wheel)
    throw new RunnerError(
      'SetupMissing',
      `TensorFlow can be fetched for Linux on x64 and arm64, not for ${process.platform} on ${process.arch}; set SIGLIP2_LIBTENSORFLOW to a folder that holds it`,
    );
  return withLock(
    join(cache, 'locks', `tensorflow-${kind}.lock`),
    async () => {
      if (!existsSync(folder)) {
        const work = `${folder}.partial`;
        await mkdir(work, { recursive: true });
        const whole = join(work, 'whole');
        const add = async (from: typeof wheel, wanted: string) => {
          // A set-up that was cut off goes on behind the last wheel that was unpacked.
          const mark = join(work, `${from.project}-${from.version}.unpacked`);
          if (existsSync(mark)) return;
          const file = await downloadWheel(from, join(work, 'wheels'), progress);
          await progress.during(`Unpacking ${from.project}`, () => unpackWheel(file, whole, wanted));
          await rm(file);
          await writeFile(mark, from.sha256);
        };
        await add(wheel, 'tensorflow/(include/|libtensorflow_(cc|framework)\\.so\\.2$)');
        if (kind === 'cuda') for (const part of pins.tensorflow.cuda[process.arch] ?? []) await add(part, cudaParts);
        await rename(whole, folder);
        await rm(work, { recursive: true, force: true });
      }
      const provided = await readLibTensorflow(folder, 'Python package index');
      if (provided) return provided;
      throw new RunnerError('SetupMissing', `${folder} is not complete; remove it and type the same command again`);
    },
    () => progress.say('Another process is fetching TensorFlow; waiting for it'),
  );
}
