import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '../runtime/hash.ts';
import { allowTensorFloat32 } from '../runtime/tensor-float-32.ts';
import { nodeBackend } from '../runtime/tensorflow.ts';
import { buildGraph, stateNodesOf } from './build.ts';
import type { KeptProgram } from './cache-entry.ts';
import type { CompileOptions, ProgramDefinition, TensorSpec, Values } from './definition.ts';
import { dataTypes } from './graph.ts';
import { placed, placementError } from './placement.ts';
import type { CacheSlot } from './program-cache.ts';
import { encodeSavedModel, servingTag } from './saved-model.ts';

/**
 * TF.js functions compiled into one TensorFlow graph whose state lives in graph variables. A call of `run` is one
 * session call: feeds go in, outputs come out, state stays on the device. All signatures share the state.
 */
export interface Program {
  /** sha256 of the serialised graph: equal hash and equal state give equal results on one kind of device. */
  readonly hash: string;
  readonly nodes: number;
  run(signature: string, feeds: Values): Values;
  has(signature: string): boolean;
  /**
   * Has TensorFlow plan every signature, which takes seconds of a large graph, while the state is not there yet: each is
   * called on zeros, and fails at the first variable that it reads. Nothing is left of it but the plans.
   */
  plan(): void;
  /** Copies pieces of state out. */
  read(names: readonly string[]): Values;
  /** Sets pieces of state. The arrays may be used again after it returns. */
  write(values: Values): void;
  /** Says that every signature that is used has run: the cache keeps the program, with what XLA has compiled of it. */
  keep(): void;
  /** Says that it failed: the cache forgets it. */
  forget(): void;
  dispose(): void;
}

/** Pieces of state move in calls of about this many bytes, so that a copy is never needed of all at once. */
const transferBytes = 256 * 2 ** 20;

/**
 * Traces every signature once and loads the graph, or takes it from the cache. Errors: TraceError, shape mismatches;
 * DeviceMissing, naming the op, when one has no place on the device.
 */
export function compile(definition: ProgramDefinition, options: CompileOptions = {}): Program {
  const { device = nodeBackend().isUsingGpuDevice ? 'gpu' : 'cpu', slot = null } = options;
  const short = device === 'gpu' && options.precision === 'bf16';
  const found = slot?.find();
  if (found) {
    try {
      return program(openGraph(found.model), found, definition, slot, short);
    } catch {
      slot?.drop();
    }
  }
  const { graph: plain, outputs } = buildGraph(definition, { ...options, device });
  const graph = placed(plain, device);
  const traced = { model: encodeSavedModel(graph), nodes: graph.nodes.length, outputs };
  let session: number;
  try {
    session = openGraph(traced.model);
  } catch (error) {
    throw placementError(error as Error, graph) ?? error;
  }
  // A kill before the first step must not cost the trace again.
  slot?.keep(traced);
  return program(session, traced, definition, slot, short);
}

function openGraph(model: Uint8Array): number {
  const folder = mkdtempSync(join(tmpdir(), 'siglip2-graph-'));
  try {
    writeFileSync(join(folder, 'saved_model.pb'), model);
    return nodeBackend().binding.loadSavedModel(folder, servingTag);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function program(
  session: number,
  traced: Omit<KeptProgram, 'compiled'>,
  definition: ProgramDefinition,
  slot: CacheSlot | null,
  short: boolean,
): Program {
  const { binding } = nodeBackend();
  const { model, nodes, outputs } = traced;
  const node = stateNodesOf(definition);
  const call = (inputs: [node: string, spec: TensorSpec, values: Values[string]][], wanted: readonly string[]) => {
    const ids = inputs.map(([, spec, values]) => binding.createTensor([...spec.shape], dataTypes[spec.dtype], values));
    try {
      // Float32 of such a program comes of bfloat16: TF32 holds its bits, and a card multiplies it several times as fast.
      if (short) allowTensorFloat32(true);
      const names = inputs.map(([name]) => `${name}:0`).join(',');
      const results = binding.runSavedModel(session, ids, names, wanted.map((name) => `${name}:0`).join(','));
      try {
        return results.map(({ id }) => binding.tensorDataSync(id));
      } finally {
        for (const { id } of results) binding.deleteTensor(id);
      }
    } finally {
      if (short) allowTensorFloat32(false);
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

  const made: Program = {
    hash: sha256(model),
    nodes,
    plan() {
      for (const [name, { feeds }] of Object.entries(definition.signatures)) {
        const zeros = Object.entries(feeds).map(([key, spec]) => [key, zerosOf(spec)]);
        try {
          made.run(name, Object.fromEntries(zeros));
        } catch {
          // As it should. What is wrong with the graph itself shows at the first step.
        }
      }
    },
    has: (name) => definition.signatures[name] !== undefined,
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
    keep() {
      slot?.keep(traced);
      slot?.proven();
    },
    forget: () => slot?.drop(),
    dispose: () => binding.deleteSavedModel(session),
  };
  return made;
}

function zerosOf({ shape, dtype }: TensorSpec): Values[string] {
  const kinds = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };
  return new kinds[dtype](shape.reduce((a, b) => a * b, 1));
}
