import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { adapterA, adapterB, adapterMagnitude, adapterTargets } from '../../model/adapters.ts';
import { blockOf } from '../../model/parameter-parts.ts';
import { RunnerError } from '../../runtime/errors.ts';
import { isFloatType, toBfloat16, toFloat32 } from '../../safetensors/float-bytes.ts';
import { chunksOf, SafetensorsFile } from '../../safetensors/safetensors.ts';
import { finite } from '../finite.ts';
import { baseMetadata } from './adapter-folder.ts';
import { isFile, readJsonFile } from './folder-json.ts';
import type { ModelFolder } from './model-folder.ts';

/** The adapter of one linear layer: V = W + scale B A, its rows scaled to the lengths of `magnitude` where there is one. */
export interface LayerAdapter {
  readonly layer: string;
  readonly rank: number;
  readonly scale: number;
  /** (rank, in) and (out, rank), in F32. */
  readonly a: Float32Array<ArrayBuffer>;
  readonly b: Float32Array<ArrayBuffer>;
  /** (out), in F32: of DoRA. */
  readonly magnitude?: Float32Array<ArrayBuffer>;
}

/** What a phase would say as its `lora` to go on with adapters. */
export interface LoraAsWritten {
  readonly rank: number;
  readonly alpha: number;
  readonly targets: readonly string[];
  readonly in: readonly string[];
  readonly useDora?: boolean;
}

/** Adapters of a folder of peft, held against the model that they are for. All of them are in memory: a few MB. */
export interface Adapter {
  /** By the names of their weights. */
  readonly layers: ReadonlyMap<string, LayerAdapter>;
  /** Null where no `lora` of a phase says the same: layers outside of blocks, several ranks or scales. */
  readonly lora: LoraAsWritten | null;
}

const [configName, tensorsName] = ['adapter_config.json', 'adapter_model.safetensors'];
/** Settings that add something else than B A to a weight, or that train more than adapters. */
const others = [
  ...['use_qalora', 'use_bdlora', 'lora_bias', 'fan_in_fan_out', 'modules_to_save', 'layer_replication'],
  ...['target_parameters', 'trainable_token_indices', 'alora_invocation_tokens', 'arrow_config', 'corda_config'],
  ...['kasa_config', 'lora_ga_config', 'monteclora_config', 'velora_config'],
];
const startsPlain = [true, false, 'gaussian', 'eva', 'orthogonal'] as const;
const prefix = 'base_model.model.';
const ofLora = /^base_model\.model\.(.*)\.lora_[AB]\.weight$/;
const ofDora = /^base_model\.model\.(.*)\.lora_(?:[AB]\.weight|magnitude_vector)$/;
type Names = [a: string, b: string, magnitude: string];

type Config = Readonly<Record<string, unknown>>;

/**
 * Reads `adapter_config.json` and `adapter_model.safetensors` as peft writes them, for a model from `source`. RecipeInvalid
 * that names the setting or the tensor at fault: what is no plain LoRA, layers that the model lacks, shapes and ranks that
 * are not the model's and the settings', and adapters that say they were trained on another model.
 */
export async function readAdapter(folder: string, source: string, model: ModelFolder): Promise<Adapter> {
  const path = join(folder, configName);
  const config = await readJsonFile(path);
  const refuse = (problem: string) =>
    new RunnerError('RecipeInvalid', `the adapter ${folder} can't be used: ${problem}`);
  if (config.peft_type !== 'LORA')
    throw refuse(`peft_type of ${configName} is ${shown(config.peft_type)}; "LORA" is allowed`);
  for (const name of others)
    if (isSaid(config[name])) throw refuse(`${name} is ${shown(config[name])}, and adapters without it are allowed`);
  // Others, such as pissa, changed the weights before training, which the file says nothing of.
  if (!startsPlain.includes((config.init_lora_weights ?? true) as (typeof startsPlain)[number]))
    throw refuse(`init_lora_weights is ${shown(config.init_lora_weights)}; allowed: ${startsPlain.join(', ')}`);
  if ((config.bias ?? 'none') !== 'none') throw refuse(`bias is ${shown(config.bias)}; "none" is allowed`);
  const [theirs, ours] = [nameOfBase(config), await nameOfModel(source)];
  if (theirs !== null && ours !== null && theirs !== ours)
    throw refuse(
      `it was trained on ${theirs}, and ${source} is ${ours}; import ${theirs}, or set base_model_name_or_path to null where they are the same`,
    );
  const tensors = join(folder, tensorsName);
  if (!(await isFile(tensors))) throw refuse(`it lacks the file ${tensorsName}; save it with safe_serialization`);
  const file = await SafetensorsFile.open(tensors, 'RecipeInvalid');
  try {
    const layers = await layersIn(file, config, model, refuse);
    const said = file.metadata[baseMetadata];
    const held = said === undefined ? undefined : await baseFingerprint([...layers.keys()], bytesIn(model));
    if (said !== held)
      throw refuse(`it was trained on other weights than those of ${source}; import the model that it is of`);
    return { layers, lora: asWritten([...layers.values()]) };
  } finally {
    await file.close();
  }
}

/**
 * A hash of weights that have adapters, the same whether they are kept in F32 or bfloat16: an adapter is of this model and of no
 * other. `read` gives their bytes in F32.
 */
export async function baseFingerprint(
  weights: readonly string[],
  read: (weight: string) => Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<string> {
  const hash = createHash('sha256');
  for (const name of [...weights].sort()) for await (const chunk of read(name)) hash.update(toBfloat16(chunk));
  return hash.digest('hex');
}

async function layersIn(
  file: SafetensorsFile,
  config: Config,
  { tensors }: ModelFolder,
  refuse: (problem: string) => RunnerError,
): Promise<Map<string, LayerAdapter>> {
  const shapes = new Map(tensors.map(({ name, shape }) => [name, shape]));
  const dora = config.use_dora === true;
  const layers = new Map<string, LayerAdapter>();
  for (const name of [...file.tensors.keys()].sort()) {
    const found = (dora ? ofDora : ofLora).exec(name);
    if (!found)
      throw refuse(
        `it has the tensor ${name.slice(0, 200)}, which is no lora_A or lora_B${dora ? ', and no lora_magnitude_vector,' : ''} of a layer`,
      );
    const layer = found[1]!;
    const weight = `${layer}.weight`;
    if (layers.has(weight)) continue;
    const shape = shapes.get(weight);
    if (shape?.length !== 2 || !/\.\w*(proj|fc1|fc2|head)$/.test(layer))
      throw refuse(`it has an adapter of ${layer.slice(0, 200)}, and the model has no such linear layer`);
    const [nameA, nameB, lengths] = [adapterA, adapterB, adapterMagnitude].map((of) => prefix + of(layer)) as Names;
    for (const half of [nameA, nameB, ...(dora ? [lengths] : [])])
      if (!file.tensors.has(half)) throw refuse(`it lacks the tensor ${half}`);
    const { rank, scale } = sizeOf(config, layer, refuse);
    const [output, input] = shape as [number, number];
    const a = await floats(file, nameA, [rank, input], refuse);
    const b = await floats(file, nameB, [output, rank], refuse);
    const magnitude = dora ? await floats(file, lengths, [output], refuse) : undefined;
    layers.set(weight, { layer, rank, scale, a, b, ...(magnitude && { magnitude }) });
  }
  const { target_modules: targets } = config;
  const reached = (target: unknown) =>
    [...layers.values()].some(({ layer }) => layer === target || layer.endsWith(`.${target}`));
  const missed = Array.isArray(targets) ? targets.find((target) => !reached(target)) : undefined;
  if (missed !== undefined)
    throw refuse(`target_modules names ${shown(missed)}, and ${tensorsName} has no adapter of it`);
  if (layers.size === 0) throw refuse(`${tensorsName} has no adapters`);
  return layers;
}

/** Rank and scale of a layer, as peft has them: the first pattern that its name ends with counts. */
function sizeOf(
  config: Config,
  layer: string,
  refuse: (problem: string) => RunnerError,
): { rank: number; scale: number } {
  const of = (field: string, pattern: string) => {
    const patterns = (config[pattern] ?? {}) as Config;
    const key = Object.keys(patterns).find((one) => {
      const ends = endsWithPattern(layer, one);
      if (ends === null)
        throw refuse(`${pattern} has the pattern ${shown(one)}; names of layers and simple patterns are allowed`);
      return ends;
    });
    const value = key === undefined ? config[field] : patterns[key];
    if (typeof value === 'number' && value > 0) return value;
    throw refuse(`${key === undefined ? field : `${pattern}.${key}`} is ${shown(value)}; a number above 0 is allowed`);
  };
  const [rank, alpha] = [of('r', 'rank_pattern'), of('lora_alpha', 'alpha_pattern')];
  return { rank, scale: config.use_rslora === true ? alpha / Math.sqrt(rank) : alpha / rank };
}

/** Null for a pattern that is not followed: then no layer can be told what it has. */
function endsWithPattern(layer: string, pattern: string): boolean | null {
  // A pattern is a regular expression of Python's; names and endings, which they nearly always are, mean the same here.
  if (layer === pattern || layer.endsWith(`.${pattern}`)) return true;
  // Text of a stranger, and an engine that goes back: few repetitions, and none of a group, end at once.
  if (pattern.length > 200 || /\)[*+?{]/.test(pattern) || (pattern.match(/[*+{]/g)?.length ?? 0) > 3) return null;
  try {
    return new RegExp(`^(?:.*\\.)?(?:${pattern})$`).test(layer);
  } catch {
    return null;
  }
}

async function floats(
  file: SafetensorsFile,
  name: string,
  shape: readonly number[],
  refuse: (problem: string) => RunnerError,
): Promise<Float32Array<ArrayBuffer>> {
  const { dtype, shape: held } = file.info(name);
  if (!isFloatType(dtype)) throw refuse(`tensor ${name} is ${dtype}; F32, BF16 and F16 are allowed`);
  if (held.join() !== shape.join())
    throw refuse(
      `tensor ${name} has the shape [${held}], and the model with the settings of ${configName} has [${shape}]`,
    );
  const data = async function* () {
    yield toFloat32(await file.read(name), dtype);
  };
  const parts: Uint8Array[] = [];
  for await (const part of chunksOf(finite(file.path, { name, dtype: 'F32', shape, data }).data)) parts.push(part);
  return new Float32Array(Uint8Array.from(Buffer.concat(parts)).buffer);
}

const bytesIn =
  ({ tensors }: ModelFolder) =>
  (weight: string) =>
    chunksOf(tensors.find(({ name }) => name === weight)!.data);

/** What `lora` of a phase says of adapters; null where none can. */
function asWritten(layers: readonly LayerAdapter[]): LoraAsWritten | null {
  const { rank, scale, magnitude } = layers[0]!;
  const places = layers.map(({ layer }) => ({ block: blockOf(layer), target: layer.split('.').at(-1)! }));
  const targets = adapterTargets.filter((one) => places.some(({ target }) => target === one));
  const blocks = new Set(places.map(({ block }) => (block ? `${block.stack}.${block.index}` : '')));
  const plain = layers.every((one) => one.rank === rank && one.scale === scale) && !blocks.has('');
  // Every block has all of the targets, or they would have to be said one by one.
  if (!plain || layers.length !== targets.length * blocks.size) return null;
  return { rank, alpha: scale * rank, targets, in: [...blocks].sort(), ...(magnitude && { useDora: true }) };
}

const isSaid = (value: unknown) =>
  value !== undefined && value !== null && value !== false && !(Array.isArray(value) && value.length === 0);
const shown = (value: unknown) => (JSON.stringify(value) ?? 'missing').slice(0, 120);

function nameOfBase({ base_model_name_or_path: name }: Config): string | null {
  return typeof name === 'string' ? releasedName(name) : null;
}

/** As config.json says it, or as the folder is called, also in a cache of the hub; null where neither is a name of a release. */
async function nameOfModel(source: string): Promise<string | null> {
  const { _name_or_path: said } = source.endsWith('.npz') ? {} : await readJsonFile(join(source, 'config.json'));
  if (typeof said === 'string' && releasedName(said) !== null) return releasedName(said);
  const inCache = dirname(dirname(source));
  return releasedName(source) ?? releasedName(basename(inCache).replaceAll('--', '/'));
}

/** Of a path or a name of the hub its last part, where that is how releases of SigLIP are called. */
function releasedName(path: string): string | null {
  const last = basename(path);
  return /^siglip2?-.*patch\d/.test(last) ? last : null;
}
