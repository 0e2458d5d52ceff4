import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { nameOf } from '../checkpoint/damage.ts';
import { importByContent } from '../checkpoint/hugging-face/import-by-content.ts';
import { isCheckpointName } from '../checkpoint/open-model.ts';
import { RunnerError } from '../runtime/errors.ts';
import { makeOwnFolder } from '../runtime/make-folder.ts';
import { paths } from '../runtime/paths.ts';
import { codeVersion } from '../runtime/version.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { say } from './output.ts';

/** What is a folder here goes into the bucket first: workers may be elsewhere. */
export async function modelInBucket(store: ObjectStore, model: string): Promise<string> {
  const local = await stat(model).catch(() => null);
  if (!local && !(await isCheckpointName(model)))
    throw new RunnerError(
      'RecipeInvalid',
      `there is no folder ${model}; name one that is, or RUN/PHASE or RUN/PHASE@STEP of the bucket, as npm run siglip2 -- ls lists them`,
    );
  if (!local) return model;
  const made = { scratch: paths().scratch, codeVersion: codeVersion(), attempt: randomBytes(4).toString('hex') };
  makeOwnFolder(made.scratch, 'SIGLIP2_SCRATCH');
  const name = nameOf(await importByContent(store, model, made));
  say(`${model} is ${name} in the bucket`);
  return name;
}
