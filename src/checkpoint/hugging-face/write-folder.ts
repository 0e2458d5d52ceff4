import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelConfig } from '../../model/sizes.ts';
import { RunnerError } from '../../runtime/errors.ts';
import { foreignKind } from '../../runtime/file-kind.ts';
import { makeFolder } from '../../runtime/make-folder.ts';
import { tensorBytes } from '../../safetensors/dtypes.ts';
import { toBfloat16 } from '../../safetensors/float-bytes.ts';
import { type TensorToWrite, writeSafetensors } from '../../safetensors/safetensors.ts';
import { modelConfigFile, preprocessorFile } from './config.ts';
import type { ModelFolder } from './model-folder.ts';
import { hasProcessor } from './read-processor.ts';
import { tokenizerFolderFiles } from './tokenizer.ts';

export interface FolderOptions {
  readonly dtype: 'f32' | 'bf16';
  /** Largest file of tensors; one tensor is never cut. */
  readonly shardBytes: number;
  /** The folder that the model was read from; an `.npz` is none. */
  readonly from?: string;
}

// What says how pictures and texts are shown to a model: kept as they are, since it answers otherwise otherwise.
const processors = ['preprocessor_config.json', 'processor_config.json'];
const tokenizers = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'tokenizer.model',
];

/**
 * Writes a model as a folder that transformers loads: config, processor and tokenizer, those of the folder `from` where
 * it has any, and `model.safetensors`, or shards
 * with `model.safetensors.index.json` where it would be larger than `shardBytes`. bf16 rounds to the nearest, to even.
 */
export async function writeModelFolder(
  folder: string,
  { config, tensors }: Pick<ModelFolder, 'config' | 'tensors'>,
  { dtype, shardBytes, from }: FolderOptions,
): Promise<void> {
  makeFolder(folder, 'name');
  const files = await processorAndTokenizer(config, from);
  // What the folder was before is no part of the model: transformers would read it first.
  for (const path of [...processors, ...tokenizers]) if (from !== folder) await rm(join(folder, path), { force: true });
  await writeFile(join(folder, 'config.json'), modelConfigFile(config, dtype).content);
  for (const { path, content } of files) await writeFile(join(folder, path), content);
  const shards = inShards(dtype === 'bf16' ? tensors.map(halved) : tensors, shardBytes);
  if (shards.length === 1) {
    await writeSafetensors(join(folder, 'model.safetensors'), shards[0]!);
    return;
  }
  const number = (value: number) => String(value).padStart(5, '0');
  const weight_map: Record<string, string> = {};
  for (const [i, own] of shards.entries()) {
    const name = `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
    await writeSafetensors(join(folder, name), own);
    for (const tensor of own) weight_map[tensor.name] = name;
  }
  const total_size = shards.flat().reduce((sum, tensor) => sum + sizeOf(tensor), 0);
  // Last: a folder that was cut short has no index, and is refused by whoever reads it.
  await writeFile(
    join(folder, 'model.safetensors.index.json'),
    `${JSON.stringify({ metadata: { total_size }, weight_map }, null, 2)}\n`,
  );
}

/** How pictures and texts are shown to a model: the files of the folder `from` as they are, and ours for what it has none of. */
export async function processorAndTokenizer(
  config: ModelConfig,
  from: string | undefined,
): Promise<{ readonly path: string; readonly content: string | Buffer }[]> {
  const kept: { path: string; content: Buffer }[] = [];
  for (const path of from === undefined ? [] : [...processors, ...tokenizers]) {
    const content = await readFile(join(from!, path)).catch(() => null);
    const kind = content && foreignKind(content);
    if (kind) throw new RunnerError('RecipeInvalid', `${join(from!, path)} is ${kind}`);
    if (content) kept.push({ path, content });
  }
  const has = (name: string) => kept.some(({ path }) => path === name);
  return [
    ...kept,
    ...(from !== undefined && (await hasProcessor(from)) ? [] : [preprocessorFile(config)]),
    ...(has('tokenizer.json') || has('tokenizer.model') ? [] : await tokenizerFolderFiles(config)),
  ];
}

const sizeOf = ({ dtype, shape }: TensorToWrite) => tensorBytes(dtype, shape);

function halved(tensor: TensorToWrite): TensorToWrite {
  const { data } = tensor;
  return {
    ...tensor,
    dtype: 'BF16',
    async *data() {
      if (data instanceof Uint8Array) yield toBfloat16(data);
      else for await (const chunk of data()) yield toBfloat16(chunk);
    },
  };
}

function inShards(tensors: readonly TensorToWrite[], largest: number): TensorToWrite[][] {
  const shards: TensorToWrite[][] = [[]];
  let size = 0;
  for (const tensor of tensors) {
    if (size > 0 && size + sizeOf(tensor) > largest) {
      shards.push([]);
      size = 0;
    }
    shards.at(-1)!.push(tensor);
    size += sizeOf(tensor);
  }
  return shards;
}
