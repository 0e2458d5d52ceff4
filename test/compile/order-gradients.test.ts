import { expect, test } from 'vitest';
import { dataTypes, Graph } from '../../src/compile/graph.ts';
import { orderGradients } from '../../src/compile/passes/order-gradients.ts';

const product = (transpose: boolean) => ({
  T: { type: dataTypes.float32 },
  transpose_a: { b: transpose },
  transpose_b: { b: false },
});

/** The backward pass of layers in a row, from the last to the first: dx, then dW, then what leads to the layer below. */
function backward(layers: number): Graph {
  const graph = new Graph();
  for (const name of ['dy', ...Array.from({ length: layers }, (_, i) => `x${i}`), 'w'])
    graph.add('Input', [], {}, name);
  let dy = 'dy:0';
  for (let i = layers - 1; i >= 0; i--) {
    graph.add('MatMul', [dy, 'w:0'], product(false), `dx${i}`);
    graph.add('MatMul', [dy, `x${i}:0`], product(true), `dw${i}`);
    graph.add('PartitionedCall', [`dx${i}:0`], {}, `chain${i}`);
    dy = `chain${i}:0`;
  }
  return graph;
}

const inputsOf = (graph: Graph) => Object.fromEntries(graph.nodes.map(({ name, inputs }) => [name, inputs]));

test('a layer of the backward pass waits for the weight gradients of the layer above, and for nothing else', () => {
  const before = backward(3);
  const after = orderGradients(before, before);
  expect(inputsOf(after)).toEqual({
    ...inputsOf(before),
    dx1: ['chain2:0', 'w:0', '^dw2'],
    dx0: ['chain1:0', 'w:0', '^dw1'],
  });
});

test('where another order was recorded, nothing is made to wait that would make a cycle', () => {
  const graph = new Graph();
  graph.add('Input', [], {}, 'dy');
  graph.add('Input', [], {}, 'w');
  graph.add('MatMul', ['dy:0', 'w:0'], product(false), 'dx');
  graph.add('MatMul', ['dx:0', 'w:0'], product(false), 'again');
  // Its second factor comes from below, as with activations that are computed again.
  graph.add('MatMul', ['dy:0', 'again:0'], product(true), 'dw');
  expect(inputsOf(orderGradients(graph, graph))).toEqual(inputsOf(graph));
});

test('what is fused and what the functions hold stay as they were', () => {
  const before = backward(2);
  before.functions.set('f', { name: 'f', inputs: [], outputs: [], body: [] });
  const after = orderGradients(before, before);
  expect([...after.functions.keys()]).toEqual(['f']);
  expect(after.nodes.map(({ name }) => name)).toEqual(before.nodes.map(({ name }) => name));
});
