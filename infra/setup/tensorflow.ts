import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { paths } from '../../src/runtime/paths.ts';
import { variable } from '../../src/runtime/variables.ts';
import { linkAddon, provideAddon } from './addon.ts';
import { deviceKind } from './device.ts';
import { findLibTensorflow, type LibTensorflow, provideLibTensorflow } from './libtensorflow.ts';
import type { Progress } from './progress.ts';

/** TensorFlow's library and the addon that joins it to Node, linked into node_modules. */
export async function provideTensorflow(progress: Progress, cache: string = paths().cache): Promise<LibTensorflow> {
  const kind = deviceKind();
  const library = await provideLibTensorflow(cache, kind, progress);
  await linkAddon(await provideAddon(cache, kind, library, progress));
  return library;
}

/**
 * What a trainer process needs in its environment beside the worker's own: on a GPU the CUDA libraries that set-up
 * fetched. The dynamic loader reads it when a process starts, so it can't be set later. Seen on an H200 (test/LOG.md).
 */
export async function trainerEnvironment(env: NodeJS.ProcessEnv = process.env): Promise<Record<string, string>> {
  const library = await findLibTensorflow(paths(env).cache, deviceKind(env), env);
  if (!library || library.cuda.length === 0) return {};
  const known = (variable('LD_LIBRARY_PATH', env) || '').split(delimiter).filter(Boolean);
  // A worker inherits it, and asks again for its trainer.
  if (library.cuda.every((folder) => known.includes(folder))) return {};
  const nvcc = join(library.folder, 'nvidia', 'cuda_nvcc');
  return {
    LD_LIBRARY_PATH: [...library.cuda, ...known].join(delimiter),
    // XLA compiles for the card with ptxas and libdevice from there.
    ...(existsSync(nvcc)
      ? { XLA_FLAGS: `${variable('XLA_FLAGS', env) ?? ''} --xla_gpu_cuda_data_dir=${nvcc}`.trim() }
      : {}),
  };
}
