import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hashJson } from '../../runtime/hash.ts';
import { writeSafetensors } from '../../safetensors/safetensors.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { commitCheckpoint } from '../commit.ts';
import { checkpointSha256 } from '../identity.ts';
import { openModel } from '../open-model.ts';
import { processingOf, requireTrainable } from '../processing.ts';
import type { CheckpointRef, StateFile } from '../types.ts';
import { addAdapter } from './add-adapter.ts';
import { checkpointSidecars } from './config.ts';
import { foldNormalisation } from './fold-normalisation.ts';
import { importPhase } from './import-phase.ts';
import { keptAdapter } from './kept-adapter.ts';
import { type Adapter, readAdapter } from './read-adapter.ts';

/**
 * Makes a checkpoint of a Hugging Face folder or of a big_vision `.npz`: step 0 of the phase `import` of `run`, from which phases of other runs go
 * on. It holds the towers in F32 and no moments. What its processor says is kept: mean and deviation of pixels are folded
 * into the patch embedding, the number of patches goes with it, and what training can't do is refused by name. Importing
 * the same model again changes nothing; another model under the same name is refused. No large tensor is ever whole in
 * memory. With an `adapter`, a folder of peft, the model has it added, and it is kept beside.
 */
export async function importModel(
  store: ObjectStore,
  path: string,
  run: string,
  {
    scratch,
    codeVersion,
    attempt,
    adapter: wanted,
  }: {
    readonly scratch: string;
    readonly codeVersion: string;
    readonly attempt: string;
    /** `found` is told what there is before anything is written. */
    readonly adapter?: { readonly folder: string; readonly found?: (adapter: Adapter) => void } | undefined;
  },
): Promise<CheckpointRef> {
  const model = await openModel(path);
  const own = join(scratch, `import-${attempt}`);
  try {
    const processing = await processingOf(path, model.config);
    requireTrainable(path, model.config, processing);
    const { images } = processing;
    const adapter = wanted ? await readAdapter(wanted.folder, path, model) : null;
    if (adapter) wanted?.found?.(adapter);
    await mkdir(own, { recursive: true });
    const plain = foldNormalisation(model, images);
    const files = [
      ['model.safetensors', adapter ? addAdapter(plain, adapter.layers) : plain],
      ['training-00001.safetensors', adapter ? keptAdapter(plain, adapter) : []],
    ] as const;
    const state: StateFile[] = [];
    for (const [name, tensors] of files)
      if (tensors.length > 0) state.push({ path: name, ...(await writeSafetensors(join(own, name), tensors)) });
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
