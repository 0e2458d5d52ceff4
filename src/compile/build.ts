import type { Tensor } from '@tensorflow/tfjs';
import { cpuFacts } from '../runtime/cpu.ts';
import { tf } from '../runtime/tensorflow.ts';
import type { CompileOptions, ProgramDefinition, Signature, TensorSpec, Tensors } from './definition.ts';
import { dataTypes, Graph, type OutputSpec } from './graph.ts';
import { batchedMatmuls } from './passes/batched-matmuls.ts';
import { bfloat16Matmuls } from './passes/bfloat16.ts';
import { fuseElementwise } from './passes/fuse-elementwise.ts';
import { orderGradients } from './passes/order-gradients.ts';
import { pairwiseSums } from './passes/pairwise-sums.ts';
import { plainMatmuls } from './passes/plain-matmul.ts';
import { prune } from './passes/prune.ts';
import { recomputeChains } from './passes/recompute.ts';
import { waitForSignals } from './passes/wait-for.ts';
import { wholeStepXla } from './passes/whole-step-xla.ts';
import { trace } from './trace.ts';

/** The graph of a program, not yet loaded. */
export interface BuiltGraph {
  readonly graph: Graph;
  /** The outputs of each signature, `<signature>/out/<output>` in the graph. */
  readonly outputs: ReadonlyMap<string, readonly string[]>;
}

/** The nodes that stand for pieces of state, by name: `<node>`, and `_in`, `_done` and `_read` of it. */
export const stateNodesOf = ({ state }: ProgramDefinition): ReadonlyMap<string, string> =>
  new Map(Object.keys(state).map((name, i) => [name, `state_${i}`]));

/** Traces every signature once and rewrites what was recorded. Errors: TraceError, shape mismatches. */
export function buildGraph(
  definition: ProgramDefinition,
  { precision = 'f32', fuseFrom = 16_384, xla = false, device = 'cpu', batchedXla }: CompileOptions,
): BuiltGraph {
  const graph = new Graph();
  const stateNames = Object.keys(definition.state);
  const node = stateNodesOf(definition);
  for (const name of stateNames) {
    const { shape, dtype } = definition.state[name]!;
    const attrs = { dtype: { type: dataTypes[dtype] }, shape: { shape }, shared_name: { s: Buffer.from(name) } };
    graph.add('VarHandleOp', [], attrs, node.get(name), [{ dtype: dataTypes.resource, shape: [] }]);
    const type = { dtype: { type: dataTypes[dtype] } };
    graph.add('Placeholder', [], { ...type, shape: { shape } }, `${node.get(name)}_in`);
    // What is fed is memory of JavaScript. A variable must own its value: freed by a thread of TensorFlow, later,
    // the memory of JavaScript would be released behind the back of its garbage collector.
    graph.add('DeepCopy', [`${node.get(name)}_in:0`], { T: type.dtype }, `${node.get(name)}_copy`);
    graph.add('AssignVariableOp', [`${node.get(name)}:0`, `${node.get(name)}_copy:0`], type, `${node.get(name)}_write`);
    graph.add('ReadVariableOp', [`${node.get(name)}:0`], type, `${node.get(name)}_read`);
    const written = { value: { tensor: { dtype: dataTypes.int32, shape: [], content: new Uint8Array(4) } } };
    graph.add(
      'Const',
      [`^${node.get(name)}_write`],
      { dtype: { type: dataTypes.int32 }, ...written },
      `${node.get(name)}_done`,
    );
  }
  const outputs = new Map(
    Object.entries(definition.signatures).map(([name, signature]) => [
      name,
      traceSignature(graph, name, signature, definition.state, node),
    ]),
  );
  const roots = [
    ...stateNames.flatMap((name) => [`${node.get(name)}_done`, `${node.get(name)}_read`]),
    ...[...outputs].flatMap(([name, keys]) => keys.map((key) => `${name}/out/${key}`)),
    // A feed that the signature does not use can be given all the same.
    ...Object.entries(definition.signatures).flatMap(([name, { feeds }]) =>
      Object.keys(feeds).map((key) => `${name}/feed/${key}`),
    ),
  ];
  const plain = plainMatmuls(graph);
  const typed = prune(precision === 'bf16' ? bfloat16Matmuls(plain) : plain, roots);
  const finished = (of: Graph): BuiltGraph => ({ graph: pairwiseSums(waitForSignals(of)), outputs });
  if (xla) return finished(wholeStepXla(typed, [...outputs.keys()]));
  const lean = prune(recomputeChains(typed, fuseFrom), roots);
  const fused = orderGradients(fuseElementwise(lean, fuseFrom, device), lean);
  const isBatchedXla = batchedXla ?? (device === 'cpu' && cpuFacts().kind === 'avx2');
  return finished(isBatchedXla ? batchedMatmuls(fused, fuseFrom) : fused);
}

function traceSignature(
  graph: Graph,
  name: string,
  signature: Signature,
  stateSpecs: ProgramDefinition['state'],
  node: ReadonlyMap<string, string>,
): readonly string[] {
  return tf.tidy(() => {
    const sources: { spec: OutputSpec; output: string }[] = [];
    const reads = new Map<string, string>();
    const specOf = ({ shape, dtype }: TensorSpec): OutputSpec => ({ shape, dtype: dataTypes[dtype] });
    for (const [key, spec] of Object.entries(stateSpecs)) {
      // A read of its own per signature, so that a write can be told to wait for it.
      const type = { dtype: { type: dataTypes[spec.dtype] } };
      const read = graph.add('ReadVariableOp', [`${node.get(key)}:0`], type, undefined, [specOf(spec)]);
      reads.set(key, read);
      sources.push({ spec: specOf(spec), output: `${read}:0` });
    }
    for (const [key, spec] of Object.entries(signature.feeds)) {
      const attrs = { dtype: { type: dataTypes[spec.dtype] }, shape: { shape: spec.shape } };
      const placeholder = graph.add('Placeholder', [], attrs, `${name}/feed/${key}`, [specOf(spec)]);
      sources.push({ spec: specOf(spec), output: `${placeholder}:0` });
    }
    const named = (specs: object, tensors: readonly Tensor[]): Tensors =>
      Object.fromEntries(Object.keys(specs).map((key, i) => [key, tensors[i]!]));
    const { result, outputOf } = trace(graph, sources, (tensors) => {
      const count = Object.keys(stateSpecs).length;
      return signature.run(named(stateSpecs, tensors), named(signature.feeds, tensors.slice(count)));
    });

    const writes: string[] = [];
    for (const [key, tensor] of Object.entries(result.state ?? {})) {
      const spec = stateSpecs[key];
      if (spec === undefined) throw new Error(`signature ${name} sets ${key}, which is not part of the state`);
      if (tensor.shape.join() !== spec.shape.join()) {
        throw new Error(`signature ${name} sets ${key} to shape [${tensor.shape}], but it is [${spec.shape}]`);
      }
      const inputs = [`${node.get(key)}:0`, outputOf(tensor), `^${reads.get(key)}`];
      writes.push(`^${graph.add('AssignVariableOp', inputs, { dtype: { type: dataTypes[spec.dtype] } })}`);
    }
    // An output is given out only after every write has happened.
    return Object.entries(result.outputs).map(([key, tensor]) => {
      const type = { type: dataTypes[tensor.dtype as 'float32' | 'int32'] };
      graph.add('Identity', [outputOf(tensor), ...writes], { T: type }, `${name}/out/${key}`);
      return key;
    });
  });
}
