import type { Tensor } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { dataTypes, Graph } from '../../src/compile/graph.ts';
import { elementwiseParts, producerOf } from '../../src/compile/passes/elementwise-parts.ts';
import { prune } from '../../src/compile/passes/prune.ts';
import { recomputeChains } from '../../src/compile/passes/recompute.ts';
import { compile } from '../../src/compile/program.ts';
import { trace } from '../../src/compile/trace.ts';
import { tf } from '../../src/runtime/tensorflow.ts';

const rows = 8;
const width = 6;
const elements = rows * width;

/** Records `f` of `count` matrices; `parts` is what its fused chains read from one another, as element counts. */
function recorded(count: number, f: (tensors: Tensor[]) => Tensor): { before: number[]; after: number[] } {
  return tf.tidy(() => {
    const graph = new Graph();
    const spec = { dtype: dataTypes.float32, shape: [rows, width] };
    const sources = Array.from({ length: count }, (_, i) => {
      const attrs = { dtype: { type: spec.dtype }, shape: { shape: spec.shape } };
      return { spec, output: `${graph.add('Placeholder', [], attrs, `x${i}`, [spec])}:0` };
    });
    const { result, outputOf } = trace(graph, sources, f);
    const roots = [producerOf(outputOf(result))];
    return { before: kept(prune(graph, roots)), after: kept(prune(recomputeChains(graph, elements), roots)) };
  });
}

function kept(graph: Graph): number[] {
  const parts = elementwiseParts(graph, elements);
  const partOf = new Map(parts.flatMap((part, i) => part.map(({ name }) => [name, i] as const)));
  const between = new Set(
    graph.nodes.flatMap(({ name, inputs }) =>
      inputs.filter((input) => {
        const from = partOf.get(producerOf(input));
        return from !== undefined && partOf.has(name) && from !== partOf.get(name);
      }),
    ),
  );
  const sizes = new Map(graph.nodes.map(({ name, outputs }) => [`${name}:0`, outputs[0]?.shape ?? []]));
  return [...between].map((output) => sizes.get(output)!.reduce((a, b) => a * b, 1));
}

const square = (x: Tensor) => x.matMul(x, true, false);

describe('chains of elementwise ops', () => {
  it('keep nothing for a later chain that can compute it again from less', () => {
    const { before, after } = recorded(1, ([x]) => {
      const h = x!.matMul(square(x!));
      const double = h.mul(2);
      const bent = double.add(1).tanh();
      const g = bent.mul(double).matMul(square(x!));
      return g.mul(bent.square().neg().add(1)).mul(double) as Tensor;
    });
    expect(before).toEqual([elements, elements]);
    expect(after).toEqual([]);
  });

  it('keep what would have to wait for more than it weighs', () => {
    const { before, after } = recorded(1, ([x]) => {
      const sum = x!
        .matMul(square(x!))
        .add(x!.matMul(square(x!.mul(3))))
        .mul(0.5);
      return sum.matMul(square(x!)).mul(sum).add(1) as Tensor;
    });
    expect(before).toEqual([elements]);
    expect(after).toEqual([elements]);
  });

  it('keep what takes a sum over rows to compute', () => {
    const { before, after } = recorded(1, ([x]) => {
      const h = x!.matMul(square(x!));
      const centred = h.sub(h.mean(1, true));
      return centred.matMul(square(x!)).mul(centred).add(1) as Tensor;
    });
    expect(before).toEqual([elements]);
    expect(after).toEqual([elements]);
  });

  it('give the same values when they are computed again', () => {
    const x = { shape: [rows, width], dtype: 'float32' } as const;
    const definition = {
      state: {},
      signatures: {
        f: {
          feeds: { x },
          run: (_: unknown, feeds: Readonly<Record<string, Tensor>>) => {
            const double = feeds.x!.matMul(square(feeds.x!)).mul(2);
            const bent = double.add(1).tanh();
            return { outputs: { y: bent.mul(double).matMul(square(feeds.x!)).mul(bent).mul(double) as Tensor } };
          },
        },
      },
    };
    const values = Float32Array.from({ length: elements }, (_, i) => Math.sin(i) / 3);
    const [fused, plain] = [0, Number.POSITIVE_INFINITY].map((fuseFrom) => {
      const program = compile(definition, { fuseFrom });
      const { y } = program.run('f', { x: values });
      program.dispose();
      return [...y!];
    });
    expect(Math.max(...plain!.map(Math.abs))).toBeGreaterThan(0.1);
    expect(fused).toEqual(plain!.map((value) => expect.closeTo(value, 5)));
  });
});
