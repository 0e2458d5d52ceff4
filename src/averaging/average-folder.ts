import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelFolder } from '../checkpoint/hugging-face/model-folder.ts';
import { writeModelFolder } from '../checkpoint/hugging-face/write-folder.ts';
import { checkpointSha256 } from '../checkpoint/identity.ts';
import { openModel } from '../checkpoint/open-model.ts';
import { processingOf } from '../checkpoint/processing.ts';
import { modelDifferences } from '../model/compare.ts';
import { RunnerError } from '../runtime/errors.ts';
import { hashFile } from '../runtime/hash.ts';
import { requireNothingAt, wholeFolder } from '../runtime/whole-folder.ts';
import { averaged } from './average.ts';

/** A model that goes into a mean: what a person calls it, and where it lies. */
export interface Averaged {
  readonly name: string;
  readonly path: string;
}

/** `average.json` of the folder: what it was made of. */
export interface AverageDocument {
  readonly version: 1;
  readonly of: readonly { readonly model: string; readonly share: number; readonly sha256: string }[];
  /** Of the result's own weights. */
  readonly sha256: string;
}

const largestShard = 5e9;

/**
 * Writes the mean of models of one shape as a folder of Hugging Face, with processor and tokenizer of the first, and
 * `average.json`, which says what it was made of. `out` appears when it is whole. RecipeInvalid where one is another model,
 * or is shown other pictures or texts, naming the field.
 */
export async function averageFolder(
  sources: readonly Averaged[],
  shares: readonly number[],
  out: string,
): Promise<AverageDocument> {
  await requireNothingAt(out);
  const models: ModelFolder[] = [];
  try {
    for (const { path } of sources) models.push(await openModel(path));
    const [first] = models;
    for (const [i, model] of models.entries()) await requireSame(sources[0]!, first!, sources[i]!, model);
    const byName = models.map(({ tensors }) => new Map(tensors.map((tensor) => [tensor.name, tensor])));
    const tensors = first!.tensors.map(({ name }) =>
      averaged(
        byName.map((own) => own.get(name)!),
        shares,
      ),
    );
    const from = sources[0]!.path;
    return await wholeFolder(out, async (part) => {
      await writeModelFolder(
        part,
        { config: first!.config, tensors },
        {
          ...{ dtype: 'f32', shardBytes: largestShard },
          ...(!from.endsWith('.npz') && { from }),
        },
      );
      const of: AverageDocument['of'][number][] = [];
      for (const [i, { name, path }] of sources.entries())
        of.push({ model: name, share: shares[i]!, sha256: await weightsHash(path) });
      const document: AverageDocument = { version: 1, of, sha256: await weightsHash(part) };
      await writeFile(join(part, 'average.json'), `${JSON.stringify(document, null, 2)}\n`);
      return document;
    });
  } finally {
    for (const model of models) await model.close();
  }
}

/** Of the files that hold a model, as that of a checkpoint: `sha256sum model.safetensors | sha256sum`. */
async function weightsHash(path: string): Promise<string> {
  const files = path.endsWith('.npz') ? [''] : (await readdir(path)).filter((name) => isWeights(name)).sort();
  const hashes: { path: string; sha256: string }[] = [];
  for (const name of files) hashes.push({ path: name, sha256: (await hashFile(join(path, name)))!.sha256 });
  return checkpointSha256(hashes);
}

const isWeights = (name: string) => name.endsWith('.safetensors') && !name.startsWith('training-');

async function requireSame(a: Averaged, first: ModelFolder, b: Averaged, model: ModelFolder): Promise<void> {
  const refuse = (what: string, held: unknown, other: unknown) =>
    new RunnerError(
      'RecipeInvalid',
      `${a.name} and ${b.name} can't be averaged: ${what} is ${JSON.stringify(held)} and ${JSON.stringify(other)}; models of one shape, shown the same, are allowed`,
    );
  const [difference] = modelDifferences(first.config, model.config);
  if (difference) throw refuse(difference.field, difference.held, difference.wanted);
  const [own, other] = [await processingOf(a.path, first.config), await processingOf(b.path, model.config)];
  for (const [name, value] of Object.entries(own.images)) {
    const beside = (other.images as unknown as Record<string, unknown>)[name];
    if (JSON.stringify(value) !== JSON.stringify(beside)) throw refuse(`${name} of its pictures`, value, beside);
  }
  if (own.texts.lowerCase !== other.texts.lowerCase)
    throw refuse('lower-casing of texts', own.texts.lowerCase, other.texts.lowerCase);
}
