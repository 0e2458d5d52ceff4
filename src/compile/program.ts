import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor } from '@tensorflow/tfjs';
import { nodeBackend, tf } from '../runtime/tensorflow.ts';
import { dataTypes, Graph, type OutputSpec } from './graph.ts';
import { bfloat16Matmuls } from './passes/bfloat16.ts';
import { fuseElementwise } from './passes/fuse-elementwise.ts';
import { orderGradients } from './passes/order-gradients.ts';
import { plainMatmuls } from './passes/plain-matmul.ts';
import { prune } from './passes/prune.ts';
import { recomputeChains } from './passes/recompute.ts';
import { waitForSignals } from './passes/wait-for.ts';
import { encodeSavedModel, servingTag } from './saved-model.ts';
import { trace } from './trace.ts';

/** Shape and type of a feed or of a piece of state. */
export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32' | 'uint8';
}
export type Tensors = Readonly<Record<string, Tensor>>;
export type Values = Readonly<Record<string, Float32Array | Int32Array | Uint8Array>>;

/** One entry into the program: an ordinary TF.js function of the state and of this entry's feeds. */
export interface Signature {
  readonly feeds: Readonly<Record<string, TensorSpec>>;
  /** Returns what comes out, and the new value of each piece of state that changes. Called once, while tracing. */
  run(state: Tensors, feeds: Tensors): { outputs: Tensors; state?: Tensors };
}

export interface ProgramDefinition {
  readonly state: Readonly<Record<string, TensorSpec>>;
  readonly signatures: Readonly<Record<string, Signature>>;
}

/**
 * TF.js functions compiled into one TensorFlow graph whose state lives in graph variables. A call of `run` is one
 * session call: feeds go in, outputs come out, state stays on the device. All signatures share the state.
 */
export interface Program {
  /** sha256 of the serialised graph: equal hash and equal state give equal results on one kind of device. */
  readonly hash: string;
  readonly nodes: number;
  run(signature: string, feeds: Values): Values;
  /** Copies pieces of state out. */
  read(names: readonly string[]): Values;
  /** Sets pieces of state. The arrays may be used again after it returns. */
  write(values: Values): void;
  dispose(): void;
}

/** Pieces of state move in calls of about this many bytes, so that a copy is never needed of all at once. */
const transferBytes = 256 * 2 ** 20;

export interface CompileOptions {
  /** f32 (default), or bf16: matmuls in bfloat16, everything else in float32. */
  readonly precision?: 'f32' | 'bf16';
  /**
   * Elements of the largest tensor from which a chain of elementwise ops is compiled with XLA: 16,384 if not given,
   * since a shorter chain takes longer to call and to compile than it saves. Infinity leaves every op as recorded.
   */
  readonly fuseFrom?: number;
}

/** Traces every signature once and loads the graph. Errors: TraceError, shape mismatches. */
export function compile(
  definition: ProgramDefinition,
  { precision = 'f32', fuseFrom = 16_384 }: CompileOptions = {},
): Program {
  const graph = new Graph();
  const stateNames = Object.keys(definition.state);
  const node = new Map(stateNames.map((name, i) => [name, `state_${i}`]));
  for (const name of stateNames) {
    const { shape, dtype } = definition.state[name]!;
    const attrs = { dtype: { type: dataTypes[dtype] }, shape: { shape }, shared_name: { s: Buffer.from(name) } };
    graph.add('VarHandleOp', [], attrs, node.get(name));
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
  const lean = prune(recomputeChains(typed, fuseFrom), roots);
  const fused = orderGradients(fuseElementwise(lean, fuseFrom), lean);
  return load(waitForSignals(fused), definition, node, outputs);
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

function load(
  graph: Graph,
  definition: ProgramDefinition,
  node: ReadonlyMap<string, string>,
  outputs: ReadonlyMap<string, readonly string[]>,
): Program {
  const { binding } = nodeBackend();
  const bytes = encodeSavedModel(graph);
  const folder = mkdtempSync(join(tmpdir(), 'siglip2-graph-'));
  let session: number;
  try {
    writeFileSync(join(folder, 'saved_model.pb'), bytes);
    session = binding.loadSavedModel(folder, servingTag);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }

  const call = (inputs: [node: string, spec: TensorSpec, values: Values[string]][], wanted: readonly string[]) => {
    const ids = inputs.map(([, spec, values]) => binding.createTensor([...spec.shape], dataTypes[spec.dtype], values));
    try {
      const names = inputs.map(([name]) => `${name}:0`).join(',');
      const results = binding.runSavedModel(session, ids, names, wanted.map((name) => `${name}:0`).join(','));
      try {
        return results.map(({ id }) => binding.tensorDataSync(id));
      } finally {
        for (const { id } of results) binding.deleteTensor(id);
      }
    } finally {
      for (const id of ids) binding.deleteTensor(id);
    }
  };
  const inGroups = (names: readonly string[], each: (group: string[]) => void) => {
    let group: string[] = [];
    let size = 0;
    for (const name of names) {
      const spec = definition.state[name];
      if (spec === undefined) throw new Error(`the program has no state named ${name}`);
      const bytesOf = 4 * spec.shape.reduce((a, b) => a * b, 1);
      if (group.length > 0 && size + bytesOf > transferBytes) {
        each(group);
        group = [];
        size = 0;
      }
      group.push(name);
      size += bytesOf;
    }
    if (group.length > 0) each(group);
  };

  return {
    hash: createHash('sha256').update(bytes).digest('hex'),
    nodes: graph.nodes.length,
    run(name, feeds) {
      const signature = definition.signatures[name];
      if (signature === undefined) {
        throw new Error(`the program has no signature ${name}; it has ${[...outputs.keys()].join(', ')}`);
      }
      const inputs = Object.entries(signature.feeds).map(([key, spec]): [string, TensorSpec, Values[string]] => {
        const values = feeds[key];
        if (values === undefined) throw new Error(`signature ${name} needs the feed ${key}`);
        return [`${name}/feed/${key}`, spec, values];
      });
      const keys = outputs.get(name)!;
      const results = call(
        inputs,
        keys.map((key) => `${name}/out/${key}`),
      );
      return Object.fromEntries(keys.map((key, i) => [key, results[i]!]));
    },
    read(names) {
      const values: Record<string, Values[string]> = {};
      inGroups(names, (group) => {
        const results = call(
          [],
          group.map((name) => `${node.get(name)}_read`),
        );
        for (const [i, name] of group.entries()) values[name] = results[i]!;
      });
      return values;
    },
    write(values) {
      inGroups(Object.keys(values), (group) => {
        const inputs = group.map((name): [string, TensorSpec, Values[string]] => [
          `${node.get(name)}_in`,
          definition.state[name]!,
          values[name]!,
        ]);
        call(
          inputs,
          group.map((name) => `${node.get(name)}_done`),
        );
      });
    },
    dispose: () => binding.deleteSavedModel(session),
  };
}
