import { join } from 'node:path';
import { tokenTable } from '../model/parameters.ts';
import { embeddingWidth, type ModelConfig } from '../model/sizes.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { TensorToWrite } from '../safetensors/safetensors.ts';
import { drawnTokens, type Feeds, imageFeeds, textFeeds } from './cost-inputs.ts';
import type { FloatKind } from './graph.ts';
import { graphOf, type Part } from './models.ts';
import { chunksOf, Weights } from './weights.ts';
import { writeModel } from './write-model.ts';

/** What a tower in float16 says beside the same one in float32. */
export interface HalfCost {
  /** Of the embeddings of one picture or text, the least of all. */
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
  part: Exclude<Part, 'both'>,
  tensors: readonly TensorToWrite[],
  config: ModelConfig,
  { scratch, opset, producer }: CostOptions,
): Promise<HalfCost> {
  const tokens = drawnTokens(config);
  const ids = [...new Set(tokens)].sort((a, b) => a - b);
  const compact = { ...config, text: { ...config.text, vocabulary: ids.length } };
  const own = part === 'text' ? await withRows(tensors, ids) : tensors;
  const weights = new Weights(own);
  const feeds = part === 'image' ? imageFeeds(config) : textFeeds(tokens, ids, config.text.length);
  const pooled = async (float: FloatKind) => {
    const file = `cost-${part}-${float}.onnx`;
    // Beside the graph, so that the weights are mapped and not copied.
    await writeModel(scratch, file, graphOf(part, weights, compact, float, opset), { producer, largest: 0 });
    return run(join(scratch, file), feeds);
  };
  const [whole, half] = [await pooled('f32'), await pooled('f16')];
  const width = embeddingWidth(config);
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
      `in float16 the ${part} tower says something else: the cosine to float32 is ${cosine.toFixed(3)}, and at least ${leastCosine} is wanted; leave --dtype f16 out`,
    );
  return { cosine, inputs };
}

async function run(file: string, feeds: Feeds): Promise<Float32Array> {
  const runtime = await import('onnxruntime-node');
  const session = await runtime.InferenceSession.create(file);
  try {
    const tensors = Object.entries(feeds).map(([name, { type, data, shape }]) => [
      name,
      new runtime.Tensor(type as 'float32', data as Float32Array, shape),
    ]);
    const { pooler_output } = await session.run(Object.fromEntries(tensors), ['pooler_output']);
    return pooler_output!.data as Float32Array;
  } finally {
    await session.release();
  }
}

/** The tensors of a model with some rows of the token table alone. */
async function withRows(tensors: readonly TensorToWrite[], ids: readonly number[]): Promise<TensorToWrite[]> {
  const table = tensors.find(({ name }) => name === tokenTable)!;
  const width = table.shape[1]! * 4;
  const rows = new Uint8Array(ids.length * width);
  let passed = 0;
  for await (const chunk of chunksOf(table)) {
    for (const [row, id] of ids.entries()) {
      const [first, end] = [Math.max(id * width, passed), Math.min((id + 1) * width, passed + chunk.length)];
      if (first < end) rows.set(chunk.subarray(first - passed, end - passed), row * width + first - id * width);
    }
    passed += chunk.length;
  }
  return tensors.map((one) => (one === table ? { ...table, shape: [ids.length, width / 4], data: rows } : one));
}

function cosineOf(a: Float32Array, b: Float32Array): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (const [i, x] of a.entries()) [ab, aa, bb] = [ab + x * b[i]!, aa + x * x, bb + b[i]! ** 2];
  return ab / Math.sqrt(aa * bb);
}
