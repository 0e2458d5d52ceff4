import { link, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { baseFile } from '../checkpoint/base-files.ts';
import type { StateFile } from '../checkpoint/types.ts';
import type { WrittenBase } from '../train/state.ts';

/** Another name of what the next snapshots have too: they go when they are committed. Null in a phase without adapters. */
export async function keepBase(
  state: readonly StateFile[],
  folder: string,
  snapshotFolder: string,
): Promise<WrittenBase | null> {
  const file = state.find(({ path }) => path === baseFile);
  if (!file) return null;
  const path = join(snapshotFolder, baseFile);
  await rm(path, { force: true });
  await link(join(folder, baseFile), path);
  return { file, path };
}
