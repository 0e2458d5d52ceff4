import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isCheckpointName } from '../checkpoint/open-model.ts';
import { pullCheckpoint } from '../checkpoint/pull.ts';
import { paths } from '../runtime/paths.ts';
import { ownScratch } from '../runtime/scratch.ts';
import { openStore } from './open-store.ts';
import { say } from './output.ts';

/**
 * Does `use` with folders of the models that `sources` name: a folder or file each, or RUN, RUN/PHASE or RUN/PHASE@STEP, which
 * is fetched and verified, once if it is named twice, and taken away afterwards; with `training` its training state too. `scratch`: a folder for the command itself.
 */
export async function withModels<T>(
  sources: readonly string[],
  use: (folders: readonly string[], scratch: string) => Promise<T>,
  { training = false }: { readonly training?: boolean } = {},
): Promise<T> {
  const scratch = ownScratch(paths().scratch);
  try {
    const places = new Map<string, string>();
    for (const source of sources) {
      if (places.has(source)) continue;
      const fetched = await isCheckpointName(source);
      places.set(source, fetched ? join(scratch, `model-${places.size}`) : source);
      if (fetched)
        await pullCheckpoint(await openStore({ reads: true }), source, places.get(source)!, { log: say, training });
    }
    return await use(
      sources.map((source) => places.get(source)!),
      scratch,
    );
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
