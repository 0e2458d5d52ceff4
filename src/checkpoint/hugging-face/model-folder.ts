import { join } from 'node:path';
import { z } from 'zod';
import { type ParameterSpec, parameterSpecs } from '../../model/parameters.ts';
import type { ModelConfig } from '../../model/sizes.ts';
import { RunnerError } from '../../runtime/errors.ts';
import { isFloatType, toFloat32 } from '../../safetensors/float-bytes.ts';
import { SafetensorsFile, type TensorToWrite } from '../../safetensors/safetensors.ts';
import { isFile, readJsonText } from './folder-json.ts';
import { readModelConfig } from './read-config.ts';

/** A model as transformers keeps it, opened and checked whole: every tensor is there, once, of its type and shape. */
export interface ModelFolder {
  readonly config: ModelConfig;
  /** Its parameters in F32 under our names, which are Hugging Face's; data are read when they are asked for. */
  readonly tensors: readonly TensorToWrite[];
  close(): Promise<void>;
}

const single = 'model.safetensors';
const indexName = `${single}.index.json`;
/** A whole number of every type's elements. */
const chunkBytes = 4 * 1024 * 1024;

// Buffers that older versions of transformers stored; they hold 0, 1, 2 ...
const ignored = new Set(['text_model.embeddings.position_ids', 'vision_model.embeddings.position_ids']);

const indexSchema = z.object({ weight_map: z.record(z.string().max(500), z.string().max(300)) });

/**
 * Opens a folder of a SiglipModel or Siglip2Model: `config.json`, and `model.safetensors` or its index with shards, in
 * F32, BF16 or F16. RecipeInvalid that names the file and the tensor at fault; then nothing stays open.
 */
export async function openModelFolder(folder: string): Promise<ModelFolder> {
  const configFile = join(folder, 'config.json');
  const config = readModelConfig(await readJsonText(configFile), configFile);
  const opened = new Map<string, SafetensorsFile>();
  const close = async () => {
    for (const file of opened.values()) await file.close();
  };
  try {
    const places = await placesIn(folder, opened);
    const specs = parameterSpecs(config);
    const known = new Set(specs.map(({ name }) => name));
    const extra = [...places.keys()].find((name) => !known.has(name) && !ignored.has(name));
    if (extra !== undefined) throw refused(folder, `it has the tensor ${extra.slice(0, 200)}, which no such model has`);
    const tensors = specs.map((spec) => tensorOf(folder, spec, places));
    return { config, tensors, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function tensorOf(
  folder: string,
  { name, shape }: ParameterSpec,
  places: ReadonlyMap<string, SafetensorsFile>,
): TensorToWrite {
  const file = places.get(name);
  if (file === undefined) throw refused(folder, `it lacks the tensor ${name}`);
  const info = file.info(name);
  const { dtype } = info;
  if (!isFloatType(dtype)) throw refused(folder, `tensor ${name} is ${dtype}; F32, BF16 and F16 are allowed`);
  if (info.shape.join() !== shape.join())
    throw refused(folder, `tensor ${name} has the shape [${info.shape}], and config.json says [${shape}]`);
  return {
    name,
    dtype: 'F32',
    shape,
    async *data() {
      for await (const chunk of file.chunks(name, chunkBytes)) yield toFloat32(chunk, dtype);
    },
  };
}

/** Which file holds which tensor. */
async function placesIn(folder: string, opened: Map<string, SafetensorsFile>): Promise<Map<string, SafetensorsFile>> {
  const places = new Map<string, SafetensorsFile>();
  const openFile = async (name: string) => {
    const path = join(folder, name);
    const known = opened.get(name);
    if (known) return known;
    const file = await SafetensorsFile.open(path, 'RecipeInvalid').catch((error) => {
      throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? refused(folder, `it lacks the file ${name}`) : error;
    });
    opened.set(name, file);
    return file;
  };
  if (await isFile(join(folder, single))) {
    const file = await openFile(single);
    for (const name of file.tensors.keys()) places.set(name, file);
    return places;
  }
  if (!(await isFile(join(folder, indexName)))) throw refused(folder, `it has neither ${single} nor ${indexName}`);
  const map = parseIndex(await readJsonText(join(folder, indexName)), folder);
  for (const [tensor, shard] of Object.entries(map)) {
    // A name from outside must not lead out of the folder.
    if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]*\.safetensors$/.test(shard))
      throw refused(
        folder,
        `${indexName} says that tensor ${tensor.slice(0, 200)} lies in ${JSON.stringify(shard)}, which is no file beside it`,
      );
    const file = await openFile(shard);
    if (!file.tensors.has(tensor))
      throw refused(folder, `${shard} lacks the tensor ${tensor.slice(0, 200)}, which ${indexName} says is there`);
    places.set(tensor, file);
  }
  for (const [name, file] of opened)
    for (const tensor of file.tensors.keys())
      if (map[tensor] !== name)
        throw refused(
          folder,
          `${name} has the tensor ${tensor.slice(0, 200)}, of which ${indexName} says nothing there`,
        );
  return places;
}

function parseIndex(text: string, folder: string): Record<string, string> {
  try {
    return indexSchema.parse(JSON.parse(text)).weight_map;
  } catch {
    throw refused(folder, `${indexName} has no weight_map of tensor names and file names`);
  }
}

const refused = (folder: string, problem: string) =>
  new RunnerError('RecipeInvalid', `${folder} is not a SigLIP 2 model that can be used: ${problem}`);
