import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hashJson } from '../../runtime/hash.ts';
import { writeSafetensors } from '../../safetensors/safetensors.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { commitCheckpoint } from '../commit.ts';
import { checkpointSha256 } from '../identity.ts';
import { openModel } from '../open-model.ts';
import { processingOf, requireTrainable } from '../processing.ts';
import type { CheckpointRef } from '../types.ts';
import { checkpointSidecars } from './config.ts';
import { foldNormalisation } from './fold-normalisation.ts';
import { importPhase } from './import-phase.ts';

/**
 * Makes a checkpoint of a Hugging Face folder or of a big_vision `.npz`: step 0 of the phase `import` of `run`, from which phases of other runs go
 * on. It holds the towers in F32 and no moments. What its processor says is kept: mean and deviation of pixels are folded
 * into the patch embedding, the number of patches goes with it, and what training can't do is refused by name. Importing
 * the same model again changes nothing; another model under the same name is refused. No large tensor is ever whole in
 * memory.
 */
export async function importModel(
  store: ObjectStore,
  path: string,
  run: string,
  {
    scratch,
    codeVersion,
    attempt,
  }: { readonly scratch: string; readonly codeVersion: string; readonly attempt: string },
): Promise<CheckpointRef> {
  const model = await openModel(path);
  const own = join(scratch, `import-${attempt}`);
  try {
    const processing = await processingOf(path, model.config);
    requireTrainable(path, model.config, processing);
    const { images } = processing;
    await mkdir(own, { recursive: true });
    const name = 'model.safetensors';
    const state = [{ path: name, ...(await writeSafetensors(join(own, name), foldNormalisation(model, images))) }];
    const { ref } = await commitCheckpoint(store, {
      run,
      phase: importPhase,
      revision: 0,
      step: 0,
      examples: 0,
      folder: own,
      state,
      sidecars: checkpointSidecars(model.config, 'f32', images.patches),
      parent: null,
      recipeHash: '',
      dataFingerprint: '',
      codeVersion,
      skipped: [],
      metrics: { loss: 0, examplesPerSecond: 0, dataWaitShare: 0 },
      attempt,
      inputHash: hashJson({ imported: checkpointSha256(state) }),
    });
    return ref;
  } finally {
    await model.close();
    await rm(own, { recursive: true, force: true });
  }
}
