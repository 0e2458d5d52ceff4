import { fullVocabulary } from '../model/sizes.ts';
import { RunnerError } from '../runtime/errors.ts';
import { openNpzModel } from './big-vision/open-npz.ts';
import { type ModelFolder, openModelFolder } from './hugging-face/model-folder.ts';

/** A model that a user brings: a folder of transformers, or an `.npz` of big_vision. RecipeInvalid with what is wrong. */
export async function openModel(path: string): Promise<ModelFolder> {
  if (!path.endsWith('.npz')) return openModelFolder(path);
  const model = await openNpzModel(path);
  const { vocabulary } = model.config.text;
  if (vocabulary === fullVocabulary) return model;
  await model.close();
  throw new RunnerError(
    'RecipeInvalid',
    `${path} has a table of ${vocabulary} tokens; the ${fullVocabulary} of SigLIP 2 are allowed`,
  );
}
