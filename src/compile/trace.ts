import type { Tensor, TensorInfo } from '@tensorflow/tfjs';
import type { NodeJSKernelBackend } from '@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js';
import type { TFEOpAttr } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import { nodeBackend } from '../runtime/tensorflow.ts';
import { type AttrValue, dataTypes, type Graph, type OutputSpec } from './graph.ts';
import { outputsOf, phantom } from './phantom.ts';

/**
 * Recording: the Node backend runs every TensorFlow op of every kernel through two methods. While a function is
 * traced they add nodes to a graph; each tensor's `dataId` names the graph output that stands for it. `clone` and
 * `identity` share a `dataId` and so vanish. What depends on feeds or state is a phantom: it has no values.
 */

interface Source {
  readonly output: string;
  /** Null for a constant, whose values are known. */
  readonly phantom: OutputSpec | null;
}

/** Elements of a fill that is made while tracing, as constants are. */
const largestFill = 2 ** 20;

export class TraceError extends Error {
  override readonly name = 'TraceError';
}

/**
 * Runs `fn` once on phantoms that stand for graph outputs (feeds and variables), adding what it does to `graph`.
 * Returns what `fn` returned, with the graph output of each of its tensors. The caller disposes. Throws TraceError
 * when a value that depends on a source is read back: the graph would hold it for ever.
 */
export function trace<T>(
  graph: Graph,
  sources: readonly { readonly spec: OutputSpec; readonly output: string }[],
  fn: (tensors: Tensor[]) => T,
): { result: T; outputOf(tensor: TensorInfo): string } {
  const backend = nodeBackend();
  const known = new WeakMap<object, Source>();
  const newPhantom = (spec: OutputSpec, output: string): Tensor => {
    const tensor = phantom(backend, spec);
    known.set(tensor.dataId, { output, phantom: spec });
    return tensor;
  };

  const original = {
    executeSingleOutput: backend.executeSingleOutput,
    executeMultipleOutputs: backend.executeMultipleOutputs,
    readSync: backend.readSync,
    read: backend.read,
  };
  let lastOp = 'the first op';

  const constantOutput = (tensor: TensorInfo): string => {
    const values = original.readSync.call(backend, tensor.dataId) as ArrayBufferView;
    const dtype = dataTypes[tensor.dtype as 'float32' | 'int32' | 'bool'];
    if (dtype === undefined) throw new TraceError(`a constant of type ${tensor.dtype} can't be recorded`);
    const content = new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice();
    return graph.constant({ dtype, shape: tensor.shape, content });
  };

  const sourceOf = (input: TensorInfo | { valueArray: Int32Array }): Source => {
    if ('valueArray' in input) {
      const content = new Uint8Array(input.valueArray.buffer).slice();
      return { output: graph.constant({ dtype: dataTypes.int64, shape: [], content }), phantom: null };
    }
    let source = known.get(input.dataId);
    if (source === undefined) {
      source = { output: constantOutput(input), phantom: null };
      known.set(input.dataId, source);
    }
    return source;
  };

  // The same op on inputs of the same shapes, and on the same constants, gives the same shapes: layers are alike.
  const learnt = new Map<string, OutputSpec[]>();
  const specsOf = (
    op: string,
    values: Record<string, AttrValue>,
    sources: readonly Source[],
    learn: () => OutputSpec[],
  ): OutputSpec[] => {
    const key = JSON.stringify([op, values, sources.map(({ output, phantom }) => phantom ?? output)]);
    const specs = learnt.get(key) ?? learn();
    learnt.set(key, specs);
    return specs;
  };

  /** What a fill of a known shape gives, where it is too large to be made for the trace alone: nobody reads it. */
  const largeFill = ([dims, value]: readonly TensorInfo[]): OutputSpec | null => {
    if (known.get(dims!.dataId)?.phantom) return null;
    const shape = [...(original.readSync.call(backend, dims!.dataId) as Int32Array)];
    if (shape.reduce((a, b) => a * b, 1) < largestFill) return null;
    return { dtype: dataTypes[value!.dtype as 'float32' | 'int32'], shape };
  };

  const execute = (op: string, attrs: TFEOpAttr[], inputs: TensorInfo[], count: number): Tensor[] => {
    // It starts with the input whose memory it can take over, which is a matter of timing.
    if (op === 'AddN' && inputs.length > 2) {
      throw new TraceError(
        'AddN adds in no fixed order, so that two runs could differ; stack and sum, or add in pairs',
      );
    }
    const sources = inputs.map(sourceOf);
    const filled = op === 'Fill' ? largeFill(inputs) : null;
    const traced = filled !== null || sources.some((source) => source.phantom !== null);
    const values = Object.fromEntries(attrs.map((attr) => [attr.name, attrValue(backend, attr)]));
    if (exact) values[staysFloat32] = { b: true };
    if (smallest !== null) values[fusesFrom] = { i: smallest };
    const real = traced ? [] : original.executeMultipleOutputs.call(backend, op, attrs, inputs, count);
    const specs = traced
      ? specsOf(op, values, sources, () => {
          const phantoms = sources.map((source) => source.phantom);
          return filled ? [filled] : outputsOf(backend, op, attrs, inputs, phantoms, count);
        })
      : real.map((tensor) => ({ dtype: outputType(tensor, values), shape: tensor.shape }));
    const node = graph.add(
      op,
      sources.map(({ output }) => output),
      values,
      undefined,
      specs,
    );
    lastOp = op;
    for (const [i, tensor] of real.entries()) known.set(tensor.dataId, { output: `${node}:${i}`, phantom: null });
    return traced ? specs.map((spec, i) => newPhantom(spec, `${node}:${i}`)) : (real as unknown as Tensor[]);
  };

  const refuseReadBack = (dataId: object) => {
    if (!known.get(dataId)?.phantom) return;
    throw new TraceError(
      `a value that depends on the feeds or the state was read back to the host after ${lastOp}; ` +
        'the compiled step would repeat what this one call saw: express it with tensor ops instead',
    );
  };

  type Result = ReturnType<typeof backend.executeSingleOutput>;
  backend.executeSingleOutput = (name, attrs, inputs) => execute(name, attrs, inputs, 1)[0] as unknown as Result;
  backend.executeMultipleOutputs = (name, attrs, inputs, count) =>
    execute(name, attrs, inputs, count) as unknown as Result[];
  backend.readSync = (dataId) => {
    refuseReadBack(dataId);
    return original.readSync.call(backend, dataId);
  };
  backend.read = async (dataId) => {
    refuseReadBack(dataId);
    return original.read.call(backend, dataId);
  };
  tracing = true;
  try {
    const result = fn(sources.map(({ spec, output }) => newPhantom(spec, output)));
    return { result, outputOf: (tensor) => sourceOf(tensor).output };
  } finally {
    tracing = false;
    // The overrides are own properties that hide the methods of the class.
    for (const name of Object.keys(original)) delete (backend as unknown as Record<string, unknown>)[name];
  }
}

/** TF.js calls bytes int32; the attributes of a cast know better. */
function outputType(tensor: TensorInfo, attrs: Record<string, AttrValue>): number {
  const cast = attrs.DstT;
  return cast !== undefined && 'type' in cast ? cast.type : dataTypes[tensor.dtype as 'float32' | 'int32' | 'bool'];
}

function attrValue(backend: NodeJSKernelBackend, attr: TFEOpAttr): AttrValue {
  const { binding } = backend;
  const value = attr.value as unknown;
  switch (attr.type) {
    case binding.TF_ATTR_TYPE:
      return Array.isArray(value) ? { list: { type: value } } : { type: value as number };
    case binding.TF_ATTR_INT:
      return Array.isArray(value) ? { list: { i: value } } : { i: value as number };
    case binding.TF_ATTR_FLOAT:
      return Array.isArray(value) ? { list: { f: value } } : { f: value as number };
    case binding.TF_ATTR_BOOL:
      return Array.isArray(value) ? { list: { b: value } } : { b: value as boolean };
    case binding.TF_ATTR_STRING:
      return { s: Buffer.from(String(value)) };
    case binding.TF_ATTR_SHAPE:
      return { shape: value as number[] };
    default:
      throw new TraceError(`attribute ${attr.name} has a kind that can't be recorded`);
  }
}

/** Runs a TensorFlow op that TF.js has no function for. It has no gradient: wrap it with `tf.customGrad`. */
export function rawOp(name: string, attrs: TFEOpAttr[], inputs: readonly TensorInfo[]): Tensor {
  return rawOps(name, attrs, inputs, 1)[0]!;
}

/** The same for an op with several outputs. */
export function rawOps(name: string, attrs: TFEOpAttr[], inputs: readonly TensorInfo[], count: number): Tensor[] {
  return nodeBackend().executeMultipleOutputs(name, attrs, [...inputs], count) as unknown as Tensor[];
}

let tracing = false;
let exact = false;
let smallest: number | null = null;

/** Marks a node that no pass may compute in another precision. TensorFlow passes over attributes that begin so. */
export const staysFloat32 = '_stays_float32';

/** What `fn` records keeps its precision. */
export function inFloat32<T>(fn: () => T): T {
  const before = exact;
  exact = true;
  try {
    return fn();
  } finally {
    exact = before;
  }
}

/** Marks a node of a chain that is left as recorded below so many elements, though the program would compile it. */
export const fusesFrom = '_fuses_from';

/** Chains of elementwise ops that `fn` records are compiled from so many elements on: for what runs seldom. */
export function fusedFrom<T>(elements: number, fn: () => T): T {
  const before = smallest;
  smallest = elements;
  try {
    return fn();
  } finally {
    smallest = before;
  }
}

/** True while a function is traced, and not run. */
export const isTracing = (): boolean => tracing;
