import { type ParameterSpec, parameterSpecs } from '../../model/parameters.ts';
import type { ModelConfig } from '../../model/sizes.ts';
import { RunnerError } from '../../runtime/errors.ts';
import type { TensorToWrite } from '../../safetensors/safetensors.ts';
import type { ModelFolder } from '../hugging-face/model-folder.ts';
import { type NpzArray, NpzFile } from './npz.ts';

/** Numbers at a time of a table that is copied as it is. */
const chunk = 1024 * 1024;

/**
 * A checkpoint of big_vision as `ModelFolder`: its shapes say what model it is, and every tensor is renamed and turned
 * as Hugging Face has it (spec 2.2; transformers `convert_siglip_to_hf.py`). Layers may lie apart (`encoderblock_3`) or
 * stacked along a first axis (`encoderblock`, of models that were scanned). RecipeInvalid with the array at fault.
 */
export async function openNpzModel(path: string): Promise<ModelFolder> {
  const file = await NpzFile.open(path, ofModel);
  try {
    const arrays = new Map([...file.arrays].map(([name, array]) => [name.replace(/^params\//, ''), array]));
    const source = new Source(path, arrays);
    const config = configOf(source);
    const used = new Set<string>();
    const tensors = parameterSpecs(config).map((spec) => tensorOf(spec, config, source, used));
    const extra = [...file.arrays.keys()].find((name) => name.startsWith('params/') && !used.has(name.slice(7)));
    if (extra !== undefined) throw source.refused(`it has the array ${extra.slice(0, 200)}, which no such model has`);
    return { config, tensors, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * As big_vision's own loader: of a whole training checkpoint what lies below params/, and optimiser state, clocks and
 * whatever else lies beside it is of no use here; of one of parameters alone, those of the two towers.
 */
function ofModel(names: readonly string[]): string[] {
  const below = names.filter((name) => name.startsWith('params/'));
  return below.length > 0 ? below : names.filter((name) => /^(?:(?:img|txt)\/|[tb]$)/.test(name));
}

class Source {
  readonly #path: string;
  readonly #arrays: ReadonlyMap<string, NpzArray>;

  constructor(path: string, arrays: ReadonlyMap<string, NpzArray>) {
    this.#path = path;
    this.#arrays = arrays;
  }

  refused(problem: string): RunnerError {
    return new RunnerError('RecipeInvalid', `${this.#path} is not a model of big_vision that can be used: ${problem}`);
  }

  shapeOf(name: string, rank: number): readonly number[] {
    const shape = this.array(name).shape;
    if (shape.length !== rank || shape.includes(0))
      throw this.refused(`array ${name} has the shape [${shape}], and ${rank} axes are wanted`);
    return shape;
  }

  has(name: string): boolean {
    return this.#arrays.has(name);
  }

  array(name: string): NpzArray {
    const array = this.#arrays.get(name);
    if (array === undefined) throw this.refused(`it lacks the array ${name}`);
    return array;
  }

  /** An array of a layer: by itself, or its part of a stack. */
  ofLayer(encoder: string, layer: number, leaf: string): { readonly name: string; readonly array: NpzArray } {
    const apart = `${encoder}/encoderblock_${layer}/${leaf}`;
    if (this.has(apart)) return { name: apart, array: this.array(apart) };
    const name = `${encoder}/encoderblock/${leaf}`;
    const stack = this.array(this.has(name) ? name : apart);
    const [depth = 0, ...shape] = stack.shape;
    if (layer >= depth) throw this.refused(`array ${name} has ${depth} layers`);
    const size = shape.reduce((a, b) => a * b, 1);
    return { name, array: { shape, floats: (first, count) => stack.floats(layer * size + first, count) } };
  }
}

function configOf(source: Source): ModelConfig {
  const tower = (encoder: string, attention = 'MultiHeadDotProductAttention_0') => {
    let depth = 0;
    while (source.has(`${encoder}/encoderblock_${depth}/LayerNorm_0/scale`)) depth++;
    if (depth === 0) depth = source.shapeOf(`${encoder}/encoderblock/LayerNorm_0/scale`, 2)[0]!;
    if (depth > 256) throw source.refused(`${encoder} has ${depth} layers`);
    const query = source.ofLayer(encoder, 0, `${attention}/query/kernel`).array.shape;
    const hidden = source.ofLayer(encoder, 0, 'MlpBlock_0/Dense_0/kernel').array.shape;
    if (query.length !== 3 || hidden.length !== 2) throw source.refused(`the first layer of ${encoder} has other axes`);
    return { width: query[0]!, depth, mlp: hidden[1]!, heads: query[1]! };
  };
  const kernel = source.array('img/embedding/kernel').shape;
  const positions = source.array('img/pos_embedding').shape;
  const naflex = kernel.length === 2;
  const patch = naflex ? Math.sqrt(kernel[0]! / 3) : kernel[0]!;
  const grid = naflex ? positions[0]! : Math.sqrt(positions[1] ?? Number.NaN);
  if (!Number.isInteger(patch) || !Number.isInteger(grid) || (!naflex && kernel.length !== 4))
    throw source.refused(
      `img/embedding/kernel of [${kernel}] and img/pos_embedding of [${positions}] make no square of patches`,
    );
  const [vocabulary] = source.shapeOf('txt/Embed_0/embedding', 2);
  return {
    vision: {
      ...tower('img/Transformer'),
      patch,
      resolution: grid * patch,
      ...(naflex && { kind: 'naflex' as const }),
    },
    text: { ...tower('txt/Encoder_0'), length: source.shapeOf('txt/pos_embedding', 3)[1]!, vocabulary: vocabulary! },
  };
}

type Part = { readonly name: string; readonly array: NpzArray };

/** The arrays that a parameter is made of, one after another, and whether each is a kernel, (in, out) here. */
function partsOf(name: string, source: Source): { readonly parts: readonly Part[]; readonly kernel: boolean } {
  const one = (key: string) => ({ parts: [{ name: key, array: source.array(key) }], kernel: key.endsWith('/kernel') });
  const side = name.startsWith('vision_model.') ? 'img' : 'txt';
  const leaf = (kind: string) => (kind === 'weight' ? 'kernel' : 'bias');
  const norm = (kind: string) => (kind === 'weight' ? 'scale' : 'bias');
  if (name === 'logit_scale') return one('t');
  if (name === 'logit_bias') return one('b');
  const layer = /\.encoder\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name);
  if (layer) {
    const [, index, within, kind] = layer as unknown as [string, string, string, string];
    const encoder = side === 'img' ? 'img/Transformer' : 'txt/Encoder_0';
    const part = within.startsWith('layer_norm')
      ? `LayerNorm_${Number(within.at(-1)) - 1}/${norm(kind)}`
      : within.startsWith('mlp')
        ? `MlpBlock_0/Dense_${Number(within.at(-1)) - 1}/${leaf(kind)}`
        : `MultiHeadDotProductAttention_0/${projections[within.slice('self_attn.'.length)]}/${leaf(kind)}`;
    return { parts: [source.ofLayer(encoder, Number(index), part)], kernel: part.endsWith('/kernel') };
  }
  const head = 'img/MAPHead_0';
  const attention = `${head}/MultiHeadDotProductAttention_0`;
  const joined = /\.head\.attention\.in_proj_(weight|bias)$/.exec(name)?.[1];
  if (joined) {
    const parts = ['query', 'key', 'value'].map((part) => `${attention}/${part}/${leaf(joined)}`);
    return { parts: parts.map((key) => ({ name: key, array: source.array(key) })), kernel: joined === 'weight' };
  }
  const [, within, kind = ''] = /^[a-z]+_model\.(.*?)(?:\.(weight|bias))?$/.exec(name) ?? [];
  const keys: Readonly<Record<string, string>> = {
    'embeddings.patch_embedding': `img/embedding/${leaf(kind)}`,
    'embeddings.position_embedding': `${side}/pos_embedding`,
    'embeddings.token_embedding': 'txt/Embed_0/embedding',
    post_layernorm: `img/Transformer/encoder_norm/${norm(kind)}`,
    final_layer_norm: `txt/Encoder_0/encoder_norm/${norm(kind)}`,
    head: `txt/head/${leaf(kind)}`,
    'head.probe': `${head}/probe`,
    'head.attention.out_proj': `${attention}/out/${leaf(kind)}`,
    'head.layernorm': `${head}/LayerNorm_0/${norm(kind)}`,
    'head.mlp.fc1': `${head}/MlpBlock_0/Dense_0/${leaf(kind)}`,
    'head.mlp.fc2': `${head}/MlpBlock_0/Dense_1/${leaf(kind)}`,
  };
  return one(keys[within ?? ''] ?? name);
}

const projections: Readonly<Record<string, string>> = {
  q_proj: 'query',
  k_proj: 'key',
  v_proj: 'value',
  out_proj: 'out',
};

function tensorOf(
  { name, shape }: ParameterSpec,
  config: ModelConfig,
  source: Source,
  used: Set<string>,
): TensorToWrite {
  const { parts, kernel } = partsOf(name, source);
  const size = shape.reduce((a, b) => a * b, 1);
  for (const part of parts) {
    used.add(part.name);
    const own = part.array.shape.reduce((a, b) => a * b, 1);
    if (own * parts.length !== size)
      throw source.refused(
        `array ${part.name} has the shape [${part.array.shape}], and ${size / parts.length} numbers are wanted for ${name} [${shape}]`,
      );
  }
  const bytes = (values: Float32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const convolution = name === 'vision_model.embeddings.patch_embedding.weight' && config.vision.kind !== 'naflex';
  return {
    name,
    dtype: 'F32',
    shape,
    async *data() {
      for (const { array } of parts) {
        const own = size / parts.length;
        if (kernel) {
          const values = await array.floats(0, own);
          // flax keeps kernels as (in, out), attention's with the heads apart, and convolutions as (row, column, in, out).
          const outputs = shape[0]! / parts.length;
          const turned = transposed(values, own / outputs, outputs);
          yield bytes(convolution ? channelsFirst(turned, 3, config.vision.patch ** 2) : turned);
          continue;
        }
        for (let first = 0; first < own; first += chunk)
          yield bytes(await array.floats(first, Math.min(chunk, own - first)));
      }
    },
  };
}

/** (rows, columns) -> (columns, rows) */
function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) out[column * rows + row] = values[row * columns + column]!;
  return out;
}

/** (..., pixels, channels) -> (..., channels, pixels) */
function channelsFirst(values: Float32Array, channels: number, pixels: number): Float32Array {
  const size = channels * pixels;
  return values.map((_, at) => values[at - (at % size) + (at % pixels) * channels + Math.floor((at % size) / pixels)]!);
}
