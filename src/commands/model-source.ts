import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isCheckpointName } from '../checkpoint/open-model.ts';
import { pullCheckpoint } from '../checkpoint/pull.ts';
import { paths } from '../runtime/paths.ts';
import { ownScratch } from '../runtime/scratch.ts';
import { openStore } from './open-store.ts';
import { say } from './output.ts';

/** A model that a command was told of, as a folder. */
export interface ModelPlace {
  readonly folder: string;
  /** A folder for the command itself. */
  readonly scratch: string;
}

/**
 * Does `use` with a folder of the model that `source` names: a folder or file, or RUN, RUN/PHASE or RUN/PHASE@STEP, which
 * is fetched and verified, and taken away afterwards.
 */
export async function withModel<T>(source: string, use: (place: ModelPlace) => Promise<T>): Promise<T> {
  const scratch = ownScratch(paths().scratch);
  try {
    if (!(await isCheckpointName(source))) return await use({ folder: source, scratch });
    const folder = join(scratch, 'model');
    await pullCheckpoint(await openStore({ reads: true }), source, folder, { log: say });
    return await use({ folder, scratch });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
