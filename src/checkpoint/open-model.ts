import { stat } from 'node:fs/promises';
import { wholeVocabulary } from '../model/sizes.ts';
import { RunnerError } from '../runtime/errors.ts';
import { openNpzModel } from './big-vision/open-npz.ts';
import { finite } from './finite.ts';
import { type ModelFolder, openModelFolder } from './hugging-face/model-folder.ts';

/** RUN, RUN/PHASE or RUN/PHASE@STEP, as `pull` takes it. */
const checkpointName = /^[A-Za-z0-9_][\w.-]*(?:\/[A-Za-z0-9_][\w.-]*(?:@\d+)?)?$/;
/** Whether a name is that of a checkpoint of the bucket, and no file or folder here has it. */
export const isCheckpointName = async (path: string): Promise<boolean> =>
  checkpointName.test(path) && !(await exists(path));
const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );

/**
 * A model that a user brings: a folder of transformers, or an `.npz` of big_vision. RecipeInvalid with what is wrong; a
 * weight that is no number is found when it is read.
 */
export async function openModel(path: string): Promise<ModelFolder> {
  if (await isCheckpointName(path))
    throw new RunnerError(
      'RecipeInvalid',
      `there is no folder ${path}; for a checkpoint of the bucket type npm run siglip2 -- pull ${path} DIR, and then DIR in its place`,
    );
  const model = path.endsWith('.npz') ? await openNpzModel(path) : await openModelFolder(path);
  const { vocabulary } = model.config.text;
  const whole = wholeVocabulary(model.config.text);
  if (vocabulary === whole)
    return { ...model, tensors: model.tensors.map((tensor) => finite(path, tensor)), close: () => model.close() };
  await model.close();
  throw new RunnerError(
    'RecipeInvalid',
    `${path} has a table of ${vocabulary} tokens; the ${whole} of SigLIP 2 are allowed`,
  );
}
