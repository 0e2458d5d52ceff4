import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { baseFile } from '../checkpoint/base-files.ts';
import { modelFile } from '../checkpoint/compose-model.ts';
import { trainingFiles } from '../checkpoint/training-files.ts';
import { tokenTable } from '../model/parameters.ts';
import { RunnerError } from '../runtime/errors.ts';
import { SafetensorsFile } from '../safetensors/safetensors.ts';
import type { TokenTable } from './token-rows.ts';

/** A tensor with the tokens of the compacted tables; there is none where they are whole. */
export const vocabularyTensor = 'vocabulary';
/** What tables of the decoder keep of tokens that are not among those, and which tokens these are. */
export const keptTensor = (name: string) => `kept/${name}`;

/** The bytes of a tensor of the training files below `folder`, without the model beside them. CheckpointDamaged where none has it. */
export async function trainingTensor(folder: string, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const paths = await trainingFiles(folder);
  for (const [i, path] of paths.entries()) {
    const file = await SafetensorsFile.open(path);
    try {
      // The last one says that it is missing.
      if (file.tensors.has(name) || i === paths.length - 1) return await file.read(name);
    } finally {
      await file.close();
    }
  }
  throw new RunnerError('CheckpointDamaged', `${folder} has no training state; fetch the checkpoint again`);
}

/**
 * The state of training as files. `model.safetensors` is what Hugging Face loads: the two towers, with the token
 * table always of 256,000 rows. `training-*.safetensors` holds what only training needs. Of a phase with adapters
 * `base.safetensors` are the towers without them. They are open for reading.
 */
export class StateFiles {
  readonly folder: string;
  /** The towers; where only the phase itself goes on, they may be those without its adapters. */
  readonly model: SafetensorsFile;
  readonly base: SafetensorsFile | null;
  /** By the names of the tensors that they hold; empty for an imported model. */
  readonly training: ReadonlyMap<string, SafetensorsFile>;
  /** The tokens that were trained. */
  readonly held: TokenTable;
  /** Others of which the tables of the decoder keep rows. */
  readonly kept: TokenTable;
  readonly #files: readonly SafetensorsFile[];

  private constructor(folder: string, files: readonly SafetensorsFile[], tokens: number[] | null, kept: number[]) {
    const named = (name: string) => files.find(({ path }) => path === join(folder, name)) ?? null;
    const [model, base] = [named(modelFile), named(baseFile)];
    const training = files.filter((file) => file !== model && file !== base);
    this.folder = folder;
    this.model = (model ?? base)!;
    this.base = base;
    this.training = new Map(training.flatMap((file) => [...file.tensors.keys()].map((name) => [name, file] as const)));
    this.held = { ids: tokens, tokens: tokens?.length ?? this.model.tensors.get(tokenTable)?.shape[0] ?? 0 };
    this.kept = { ids: kept, tokens: kept.length };
    this.#files = files;
  }

  /** Errors: CheckpointDamaged. */
  static async open(folder: string): Promise<StateFiles> {
    const files: SafetensorsFile[] = [];
    try {
      const towers = [modelFile, baseFile].filter((path) => existsSync(join(folder, path)));
      // The one that every other state has is said to be missing.
      const own = (towers.length > 0 ? towers : [modelFile]).map((path) => join(folder, path));
      for (const path of [...own, ...(await trainingFiles(folder))]) files.push(await SafetensorsFile.open(path));
      const tokens = await idsIn(files, vocabularyTensor);
      return new StateFiles(folder, files, tokens, (await idsIn(files, keptTensor(vocabularyTensor))) ?? []);
    } catch (error) {
      await closeAll(files);
      throw error;
    }
  }

  close(): Promise<void> {
    return closeAll(this.#files);
  }
}

async function closeAll(files: readonly SafetensorsFile[]): Promise<void> {
  for (const file of files) await file.close();
}

async function idsIn(files: readonly SafetensorsFile[], name: string): Promise<number[] | null> {
  const file = files.find(({ tensors }) => tensors.has(name));
  return file ? [...new Int32Array((await file.read(name)).buffer)] : null;
}
