import { join } from 'node:path';
import { tokenTable } from '../model/parameters.ts';
import { embeddingWidth, type ModelConfig } from '../model/sizes.ts';
import { RunnerError } from '../runtime/errors.ts';
import { chunksOf, type TensorToWrite } from '../safetensors/safetensors.ts';
import { drawnTokens, type Feed, type Feeds, imageFeeds, textFeeds } from './cost-inputs.ts';
import { decoderGraph } from './decoder.ts';
import type { DecoderWeightsFile } from './decoder-file.ts';
import type { FloatKind, GraphBuilder } from './graph.ts';
import { graphOf } from './models.ts';
import { Weights } from './weights.ts';
import { writeModel } from './write-model.ts';

/** What a tower or a decoder in float16 says beside the same one in float32. */
export interface HalfCost {
  /** Of the embeddings of one picture or text, or of the logits of one place, the least of all. */
  readonly cosine: number;
  readonly inputs: number;
}

/** Below this an export would answer otherwise than the model: it overflows somewhere. */
const leastCosine = 0.99;

export interface CostOptions {
  readonly scratch: string;
  readonly opset: number;
  readonly producer: string;
}

/**
 * Runs one tower in float32 and in float16 by ONNX Runtime, on pictures made of waves or on texts, and compares what they
 * pool. Files of both lie in `scratch` meanwhile, of the token table only the rows that are asked for. RecipeInvalid
 * where float16 can't hold what the model computes.
 */
export async function halfCost(
  part: 'image' | 'text',
  tensors: readonly TensorToWrite[],
  config: ModelConfig,
  options: CostOptions,
): Promise<HalfCost> {
  const tokens = drawnTokens(config);
  const ids = [...new Set(tokens)].sort((a, b) => a - b);
  const compact = { ...config, text: { ...config.text, vocabulary: ids.length } };
  const own = part === 'text' ? await withRows(tensors, ids, [tokenTable]) : tensors;
  const weights = new Weights(own);
  const feeds = part === 'image' ? imageFeeds(config) : textFeeds(tokens, ids, config.text.length);
  const pooled = (float: FloatKind) =>
    run(`${part}-${float}`, graphOf(part, weights, compact, float, options.opset), feeds, 'pooler_output', options);
  const [whole, half] = [await pooled('f32'), await pooled('f16')];
  return costOf(`the ${part} tower`, whole.data, half.data, embeddingWidth(config));
}

/**
 * The same of the decoder, whose logits are compared: it is shown what the image tower says in float32, and drawn tokens. Of its
 * tables, too, only rows that are asked for lie in `scratch`, so that the logits are of as many tokens.
 */
export async function decoderHalfCost(
  decoder: DecoderWeightsFile,
  tensors: readonly TensorToWrite[],
  config: ModelConfig,
  options: CostOptions,
): Promise<HalfCost> {
  const pictures = imageFeeds(config);
  const image = graphOf('image', new Weights(tensors), config, 'f32', options.opset);
  const seen = await run('decoder-image', image, pictures, 'last_hidden_state', options);
  const { length } = config.text;
  // Of the longest texts one for each picture.
  const tokens = drawnTokens(decoder.config).subarray(-seen.shape[0]! * length);
  const ids = [...new Set(tokens)].sort((a, b) => a - b);
  const tables = ['decoder.embed_tokens.weight', 'decoder.lm_head.weight', 'decoder.lm_head.bias'];
  const compact = {
    ...decoder,
    config: { ...decoder.config, text: { ...decoder.config.text, vocabulary: ids.length } },
    tensors: await withRows(decoder.tensors, ids, tables),
  };
  const feeds = {
    ...textFeeds(tokens, ids, length),
    encoder_hidden_states: seen,
    ...(pictures.pixel_attention_mask && { encoder_attention_mask: pictures.pixel_attention_mask }),
  };
  const logits = (float: FloatKind) =>
    run(`decoder-${float}`, decoderGraph(compact, float, options.opset), feeds, 'logits', options);
  const [whole, half] = [await logits('f32'), await logits('f16')];
  return costOf('the decoder', whole.data, half.data, ids.length);
}

/** RecipeInvalid where rows of the one are too far from those of the other. */
function costOf(what: string, whole: Float32Array, half: Float32Array, width: number): HalfCost {
  const inputs = whole.length / width;
  let cosine = 1;
  for (let i = 0; i < inputs; i++) {
    const at = cosineOf(whole.subarray(i * width, (i + 1) * width), half.subarray(i * width, (i + 1) * width));
    // What is no number is less than any.
    if (!(at >= cosine)) cosine = at;
  }
  if (!(cosine >= leastCosine))
    throw new RunnerError(
      'RecipeInvalid',
      `in float16 ${what} says something else: the cosine to float32 is ${cosine.toFixed(3)}, and at least ${leastCosine} is wanted; leave --dtype f16 out`,
    );
  return { cosine, inputs };
}

async function run(
  name: string,
  graph: GraphBuilder,
  feeds: Feeds,
  output: string,
  { scratch, producer }: CostOptions,
): Promise<Feed & { readonly data: Float32Array }> {
  const file = `cost-${name}.onnx`;
  // Beside the graph, so that the weights are mapped and not copied.
  await writeModel(scratch, file, graph, { producer, largest: 0 });
  const runtime = await import('onnxruntime-node');
  const session = await runtime.InferenceSession.create(join(scratch, file));
  try {
    const tensors = Object.entries(feeds).map(([name, { type, data, shape }]) => [
      name,
      new runtime.Tensor(type as 'float32', data as Float32Array, shape),
    ]);
    const found = (await session.run(Object.fromEntries(tensors), [output]))[output]!;
    return { type: 'float32', data: found.data as Float32Array, shape: [...found.dims] };
  } finally {
    await session.release();
  }
}

/** The tensors of a model with some rows of some tables alone. */
async function withRows(
  tensors: readonly TensorToWrite[],
  ids: readonly number[],
  tables: readonly string[],
): Promise<TensorToWrite[]> {
  const own: TensorToWrite[] = [];
  for (const one of tensors) own.push(tables.includes(one.name) ? await rowsOf(one, ids) : one);
  return own;
}

async function rowsOf(table: TensorToWrite, ids: readonly number[]): Promise<TensorToWrite> {
  const [, ...row] = table.shape;
  const width = row.reduce((a, b) => a * b, 4);
  const rows = new Uint8Array(ids.length * width);
  let passed = 0;
  for await (const chunk of chunksOf(table.data)) {
    for (const [row, id] of ids.entries()) {
      const [first, end] = [Math.max(id * width, passed), Math.min((id + 1) * width, passed + chunk.length)];
      if (first < end) rows.set(chunk.subarray(first - passed, end - passed), row * width + first - id * width);
    }
    passed += chunk.length;
  }
  return { ...table, shape: [ids.length, ...row], data: rows };
}

function cosineOf(a: Float32Array, b: Float32Array): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (const [i, x] of a.entries()) [ab, aa, bb] = [ab + x * b[i]!, aa + x * x, bb + b[i]! ** 2];
  return ab / Math.sqrt(aa * bb);
}
