import { describe, expect, it } from 'vitest';
import { buildGraph } from '../../src/compile/build.ts';
import type { ProgramDefinition } from '../../src/compile/definition.ts';
import { dataTypes, Graph } from '../../src/compile/graph.ts';
import { batchedMatmuls } from '../../src/compile/passes/batched-matmuls.ts';
import { compile } from '../../src/compile/program.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';

const [batch, rows, columns, inner] = [6, 35, 28, 20] as const;
const left = { plain: [2, 3, rows, inner], adjoint: [2, 3, inner, rows], few: [1, 3, rows, inner] } as const;
const right = { plain: [2, 3, inner, columns], adjoint: [2, 3, columns, inner] } as const;
type Case = readonly [left: keyof typeof left, right: keyof typeof right];

const cases: readonly Case[] = [
  ['plain', 'plain'],
  ['plain', 'adjoint'],
  ['adjoint', 'plain'],
  ['adjoint', 'adjoint'],
  // One query for all, as the MAP head has it.
  ['few', 'plain'],
];

function definition([a, b]: Case): ProgramDefinition {
  const run: ProgramDefinition['signatures'][string]['run'] = (_, { x, y }) => ({
    // Between ops, as in a model: what is fed and what comes out is no part of a function.
    outputs: { z: tf.matMul(x!.mul(2), y!.add(1), a === 'adjoint', b === 'adjoint').sub(1) },
  });
  const feeds = { x: { shape: left[a], dtype: 'float32' }, y: { shape: right[b], dtype: 'float32' } } as const;
  return { state: {}, signatures: { run: { feeds, run } } };
}

/** The product in float64, element by element. */
function slowly([a, b]: Case, x: Float32Array, y: Float32Array): Float64Array {
  const result = new Float64Array(batch * rows * columns);
  const groups = a === 'few' ? 3 : batch;
  for (let g = 0; g < batch; g++)
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) {
        let sum = 0;
        for (let k = 0; k < inner; k++) {
          const i = (g % groups) * rows * inner + (a === 'adjoint' ? k * rows + r : r * inner + k);
          const j = g * inner * columns + (b === 'adjoint' ? c * inner + k : k * columns + c);
          sum += 2 * x[i]! * (y[j]! + 1);
        }
        result[(g * rows + r) * columns + c] = sum - 1;
      }
  return result;
}

const numbers = (count: number, seed: number) => {
  const random = randomStream(seed, 'batched');
  return Float32Array.from({ length: count }, () => random.below(2001) / 1000 - 1);
};
const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const batchedOps = (options: Parameters<typeof buildGraph>[1]) => {
  const { graph } = buildGraph(definition(cases[0]!), { device: 'cpu', ...options });
  return graph.nodes.filter(({ op }) => op === 'BatchMatMulV2').length;
};

describe('batched products that XLA compiles', () => {
  it.each(cases)('are those of a slow loop: %s by %s', (...of) => {
    const [x, y] = [numbers(size(left[of[0]]), 1), numbers(size(right[of[1]]), 2)];
    const program = compile(definition(of), { fuseFrom: 0, batchedXla: true, device: 'cpu' });
    const { z } = program.run('run', { x, y });
    program.dispose();
    const expected = slowly(of, x, y);
    expect(z).toHaveLength(expected.length);
    expect(Math.max(...expected.map((value, i) => Math.abs(value - z![i]!)))).toBeLessThan(2e-5);
  });

  it('are functions where they are large and in float32, and where that is asked for', () => {
    expect(batchedOps({ fuseFrom: 0, batchedXla: true })).toBe(0);
    expect(batchedOps({ fuseFrom: 0, batchedXla: false })).toBe(1);
    expect(batchedOps({ fuseFrom: 0, batchedXla: true, precision: 'bf16' })).toBe(1);
    const products = batch * rows * columns * inner;
    expect(batchedOps({ fuseFrom: Math.floor(products / 256), batchedXla: true })).toBe(0);
    expect(batchedOps({ fuseFrom: Math.floor(products / 256) + 1, batchedXla: true })).toBe(1);
    expect(batchedOps({ fuseFrom: Number.POSITIVE_INFINITY, batchedXla: true })).toBe(1);
  });

  it('wait for what they waited for, and keep their name for those who wait for them', () => {
    const graph = new Graph();
    const [shape, dtype] = [[2, 4, 4], dataTypes.float32];
    for (const name of ['x', 'y', 'before']) graph.add('Input', [], {}, name, [{ dtype, shape }]);
    const attrs = { T: { type: dtype }, adj_x: { b: false }, adj_y: { b: false } };
    graph.add('BatchMatMulV2', ['x:0', 'y:0', '^before'], attrs, 'z', [{ dtype, shape }]);
    graph.add('Identity', ['z:0', '^z'], { T: { type: dtype } }, 'after');
    const { nodes, functions } = batchedMatmuls(graph, 0);
    const z = nodes.find(({ name }) => name === 'z');
    expect(z).toMatchObject({ op: 'PartitionedCall', inputs: ['x:0', 'y:0', '^before'], outputs: [{ dtype, shape }] });
    expect(nodes.at(-1)).toMatchObject({ name: 'after', inputs: ['z:0', '^z'] });
    expect([...functions.values()].map(({ body }) => body.map(({ op }) => op))).toEqual([['BatchMatMulV2']]);
  });
});
