import type { TensorInfo } from '@tensorflow/tfjs';
import type { NodeJSKernelBackend } from '@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js';
import type { TFEOpAttr } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import { nodeBackend, type tf } from '../runtime/tensorflow.ts';
import { type AttrValue, dataTypes, type Graph } from './graph.ts';

/**
 * Recording: the Node backend runs every TensorFlow op of every kernel through two methods. They are observed
 * while a function runs once, eagerly; each tensor's `dataId` names the graph output that stands for it.
 * `clone` and `identity` share a `dataId` and so vanish.
 */

interface Source {
  readonly output: string;
  readonly shape: readonly number[];
  /** Depends on a feed or on state: must not be read back to the host while tracing. */
  readonly traced: boolean;
}

export class TraceError extends Error {
  override readonly name = 'TraceError';
}

/**
 * Runs `fn` once, adding what it does to `graph`. `sources` are tensors that stand for graph outputs (feeds and
 * variables). Returns what `fn` returned, with the graph output of each of its tensors. The caller disposes.
 * Throws TraceError when a value that depends on a source is read back: the graph would hold it for ever.
 */
export function trace<T>(
  graph: Graph,
  sources: readonly { readonly tensor: TensorInfo; readonly output: string }[],
  fn: () => T,
): { result: T; outputOf(tensor: TensorInfo): string } {
  const backend = nodeBackend();
  const known = new WeakMap<object, Source>();
  for (const { tensor, output } of sources) known.set(tensor.dataId, { output, shape: tensor.shape, traced: true });

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

  const inputOutput = (input: TensorInfo | { valueArray: Int32Array }): { output: string; traced: boolean } => {
    if ('valueArray' in input) {
      const content = new Uint8Array(input.valueArray.buffer).slice();
      return { output: graph.constant({ dtype: dataTypes.int64, shape: [], content }), traced: false };
    }
    let source = known.get(input.dataId);
    if (source === undefined) {
      source = { output: constantOutput(input), shape: input.shape, traced: false };
      known.set(input.dataId, source);
    }
    return source;
  };

  const record = (
    op: string,
    attrs: readonly TFEOpAttr[],
    inputs: readonly TensorInfo[],
    outputs: readonly TensorInfo[],
  ) => {
    const ins = inputs.map(inputOutput);
    const values = Object.fromEntries(attrs.map((attr) => [attr.name, attrValue(backend, attr)]));
    const node = graph.add(
      op,
      ins.map(({ output }) => output),
      values,
      undefined,
      outputs.map((tensor) => ({ dtype: outputType(tensor, values), shape: tensor.shape })),
    );
    const traced = ins.some((input) => input.traced);
    for (const [i, tensor] of outputs.entries()) {
      known.set(tensor.dataId, { output: `${node}:${i}`, shape: tensor.shape, traced });
    }
    lastOp = op;
  };

  const refuseReadBack = (dataId: object) => {
    if (!known.get(dataId)?.traced) return;
    throw new TraceError(
      `a value that depends on the feeds or the state was read back to the host after ${lastOp}; ` +
        'the compiled step would repeat what this one call saw: express it with tensor ops instead',
    );
  };

  backend.executeSingleOutput = (name, attrs, inputs) => {
    // Inputs are looked at before the op runs: kernels dispose shape tensors right after it.
    const result = original.executeSingleOutput.call(backend, name, attrs, inputs);
    record(name, attrs, inputs, [result]);
    return result;
  };
  backend.executeMultipleOutputs = (name, attrs, inputs, count) => {
    const results = original.executeMultipleOutputs.call(backend, name, attrs, inputs, count);
    record(name, attrs, inputs, results);
    return results;
  };
  backend.readSync = (dataId) => {
    refuseReadBack(dataId);
    return original.readSync.call(backend, dataId);
  };
  backend.read = async (dataId) => {
    refuseReadBack(dataId);
    return original.read.call(backend, dataId);
  };
  try {
    const result = fn();
    return { result, outputOf: (tensor) => inputOutput(tensor).output };
  } finally {
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
      return { type: value as number };
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
export function rawOp(name: string, attrs: TFEOpAttr[], inputs: readonly TensorInfo[]): InstanceType<typeof tf.Tensor> {
  return nodeBackend().executeSingleOutput(name, attrs, [...inputs]) as unknown as InstanceType<typeof tf.Tensor>;
}
