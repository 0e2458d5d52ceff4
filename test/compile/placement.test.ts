import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildGraph } from '../../src/compile/build.ts';
import type { ProgramDefinition } from '../../src/compile/definition.ts';
import { dataTypes, Graph, type GraphNode } from '../../src/compile/graph.ts';
import { outputArgument } from '../../src/compile/output-arguments.ts';
import { hostOps, placed, placementError } from '../../src/compile/placement.ts';
import { compile } from '../../src/compile/program.ts';
import { allPrograms } from './programs.ts';

type Constraints = Readonly<Record<string, readonly number[]>>;
interface Kernels {
  readonly output: string | null;
  readonly gpu: readonly Constraints[];
  readonly xla: readonly Constraints[];
}
/** What the CUDA build of the pinned TensorFlow says of itself: see make_kernels.py. */
const fixture: { readonly tensorflow: string; readonly ops: Readonly<Record<string, Kernels>> } = JSON.parse(
  readFileSync(new URL('fixtures/kernels.json', import.meta.url), 'utf8'),
);

/** Why an op has no kernel, in words. */
function lacks({ op, attrs }: Pick<GraphNode, 'op' | 'attrs'>, kind: 'gpu' | 'xla'): string[] {
  const known = fixture.ops[op];
  if (!known) return [`${op} is not in kernels.json: run make_kernels.py with it`];
  const fits = (constraints: Constraints) =>
    Object.entries(constraints).every(([name, allowed]) => {
      const value = attrs[name];
      // What is left out has its default, int32 of indices and shapes.
      const types =
        value === undefined ? [3] : 'type' in value ? [value.type] : 'list' in value ? value.list.type! : [];
      return types.length > 0 && types.every((type) => allowed.includes(type));
    });
  return known[kind].some(fits) ? [] : [`${op} ${JSON.stringify(attrs)} has no kernel for ${kind}`];
}

const counter: ProgramDefinition = {
  state: { sum: { shape: [2], dtype: 'float32' } },
  signatures: {
    add: {
      feeds: { x: { shape: [2], dtype: 'float32' } },
      run: ({ sum }, { x }) => ({ outputs: { before: sum!.mul(1) }, state: { sum: sum!.add(x!) } }),
    },
  },
};

describe('on a GPU', () => {
  it.each(allPrograms())('every op of the graph has a kernel of its type: %s', (_, definition, options) => {
    for (const fuseFrom of [0, Number.POSITIVE_INFINITY]) {
      const { graph } = buildGraph(definition, { ...options, fuseFrom, device: 'gpu' });
      expect(graph.nodes.length).toBeGreaterThan(20);
      const bound = placed(graph, 'gpu').nodes.filter(({ device }) => device === '/device:GPU:0');
      expect(bound.length).toBe(graph.nodes.filter(({ op }) => !hostOps.has(op)).length);
      expect([...new Set(bound.flatMap((node) => lacks(node, 'gpu')))]).toEqual([]);
      const bodies = [...graph.functions.values()].flatMap(({ body }) => body);
      if (fuseFrom === 0) expect(bodies.length).toBeGreaterThan(10);
      expect([...new Set(bodies.flatMap((node) => lacks(node, 'xla')))]).toEqual([]);
    }
  });

  it.each(allPrograms())('XLA has a kernel for every op of the whole step: %s', (_, definition, options) => {
    const { graph } = buildGraph(definition, { ...options, xla: true, device: 'gpu' });
    expect([...new Set(graph.nodes.flatMap((node) => lacks(node, 'gpu')))]).toEqual([]);
    const signatures = Object.keys(definition.signatures);
    expect(graph.nodes.filter(({ op }) => op === 'StatefulPartitionedCall').length).toBe(signatures.length);
    // What is left outside computes nothing.
    const outside = new Set(graph.nodes.map(({ op }) => op));
    const allowed = ['VarHandleOp', 'Placeholder', 'DeepCopy', 'AssignVariableOp', 'ReadVariableOp', 'Const'];
    expect([...outside].filter((op) => ![...allowed, 'Identity', 'StatefulPartitionedCall'].includes(op))).toEqual([]);
    const bodies = [...graph.functions.values()].flatMap(({ body }) => body);
    expect(bodies.length).toBeGreaterThan(20);
    expect([...new Set(bodies.flatMap((node) => lacks(node, 'xla')))]).toEqual([]);
  });

  it('a kernel that does not exist would be found missing', () => {
    const type = (value: number) => ({ type: value });
    expect(lacks({ op: 'MatMul', attrs: { T: type(dataTypes.uint8) } }, 'gpu')).toHaveLength(1);
    expect(lacks({ op: 'MatMul', attrs: { T: type(dataTypes.bfloat16) } }, 'gpu')).toEqual([]);
    expect(lacks({ op: 'DecodeRaw', attrs: {} }, 'gpu')[0]).toContain('make_kernels.py');
  });

  it('the library is of the version whose kernels were looked at', () => {
    const pins = JSON.parse(readFileSync(new URL('../../infra/setup/pins.json', import.meta.url), 'utf8'));
    expect(fixture.tensorflow).toBe(pins.tensorflow.version);
  });

  it('a graph is refused where TensorFlow sees none, naming the op', () => {
    expect(() => compile(counter, { device: 'gpu' })).toThrow(
      expect.objectContaining({
        code: 'DeviceMissing',
        message: expect.stringMatching(
          /^the op \w+ of float32 \(state_0\w*\) is to run on the GPU, and TensorFlow sees no GPU; .* SIGLIP2_DEVICE=cpu/,
        ),
      }),
    );
  });

  it('an op without a kernel is named with its types', () => {
    const graph = new Graph();
    graph.add('DecodeRaw', [], { out_type: { type: dataTypes.uint8 } }, 'step/raw');
    // TensorFlow 2.21 itself, of a device that has no kernel for an op.
    const said =
      "Failed to load SavedModel: Cannot assign a device for operation step/raw: Could not satisfy explicit device specification '/device:GPU:0' because no supported kernel for GPU devices is available.\nColocation Debug Info:\n...";
    expect(placementError(new Error(said), graph)?.message).toMatch(
      /^the op DecodeRaw of uint8 \(step\/raw\) is to run on the GPU, and TensorFlow has no kernel for it there;/,
    );
    expect(placementError(new Error('Incompatible shapes: [2] vs. [3]'), graph)).toBeNull();
  });
});

describe('names of outputs', () => {
  it('are those of the definitions of the ops', () => {
    const graphs = allPrograms().map(([, definition, options]) =>
      buildGraph(definition, { ...options, xla: true, device: 'gpu' }),
    );
    const ops = graphs.flatMap(({ graph }) => [...graph.functions.values()].flatMap(({ body }) => body));
    const computing = new Set(ops.map(({ op }) => op).filter((op) => op !== 'AssignVariableOp'));
    expect(computing.size).toBeGreaterThan(30);
    for (const op of computing) expect(outputArgument(op), op).toBe(fixture.ops[op]!.output);
    expect(() => outputArgument('NoSuchOp')).toThrow('NoSuchOp');
  });
});
