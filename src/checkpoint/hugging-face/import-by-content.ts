import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RunnerError } from '../../runtime/errors.ts';
import { hashFile, hashJson } from '../../runtime/hash.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import type { CheckpointRef } from '../types.ts';
import { importModel } from './import-model.ts';

/**
 * A model folder, or an `.npz`, as the checkpoint `import@0` of a run that its content names: the same model is imported once,
 * from whichever folder. Errors: RecipeInvalid.
 */
export async function importByContent(
  store: ObjectStore,
  path: string,
  how: Parameters<typeof importModel>[3],
): Promise<CheckpointRef> {
  const info = await stat(path).catch((cause) => {
    throw new RunnerError(
      'RecipeInvalid',
      `there is no model folder ${path} (${cause.code}); name a checkpoint, RUN/PHASE@STEP, or a folder that is there`,
      { cause },
    );
  });
  const names = info.isDirectory()
    ? (await readdir(path)).filter((name) => /\.(safetensors|json)$/.test(name)).sort()
    : [''];
  const hashes: [string, string | undefined][] = [];
  for (const name of names) hashes.push([name, (await hashFile(join(path, name)))?.sha256]);
  return importModel(store, path, `model-${hashJson(hashes).slice(0, 12)}`, how);
}
