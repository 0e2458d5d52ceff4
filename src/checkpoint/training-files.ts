import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Files of a checkpoint that hold what only training needs. */
export const isTrainingFile = (path: string): boolean => /^training-\d{5}\.safetensors$/.test(path);

/** Paths of those below `folder`. */
export async function trainingFiles(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter(isTrainingFile).sort();
  return names.map((name) => join(folder, name));
}
