import { isSet } from '../attributes.ts';
import { Graph, type GraphNode } from '../graph.ts';
import { producerOf } from './elementwise-parts.ts';

/**
 * A weight's gradient is computed before the backward pass goes on beyond the next layer's matmul. Nothing waits for
 * it but the optimiser, so that TensorFlow may leave it for later, whenever a thread is held up; and with it waits
 * every activation that it reads. Run side by side with the elementwise chain of its own layer it costs no time.
 *
 * `order` is the graph before its chains were fused, whose order of nodes is an order of execution: all new edges go
 * forward in it, so that there are no cycles.
 */
export function orderGradients(graph: Graph, order: Graph): Graph {
  const position = new Map(order.nodes.map(({ name }, i) => [name, i]));
  const readers = readersByProducer(graph);
  const edges = new Map<string, string[]>();
  for (const node of graph.nodes) {
    if (!isWeightGradient(node)) continue;
    const passedOn = readers.get(producerOf(node.inputs[0]!))!.filter((reader) => passesOn(reader, node));
    for (const next of nextMatmuls(passedOn, readers)) {
      if (next === node || position.get(next.name)! < position.get(node.name)!) continue;
      edges.set(next.name, [...(edges.get(next.name) ?? []), `^${node.name}`]);
    }
  }
  const result = new Graph();
  for (const [name, body] of graph.functions) result.functions.set(name, body);
  for (const { name, op, inputs, attrs, outputs } of graph.nodes) {
    result.add(op, [...inputs, ...(edges.get(name) ?? [])], attrs, name, outputs);
  }
  return result;
}

const isMatmul = ({ op }: GraphNode) => op === 'MatMul' || op === 'BatchMatMulV2';

/** dW = dy^T x: rows against rows. */
const isWeightGradient = (node: GraphNode) => node.op === 'MatMul' && isSet(node, 'transpose_a');

/** dx = dy W of the same dy. */
const passesOn = (reader: GraphNode, { inputs: [dy] }: GraphNode) =>
  reader.op === 'MatMul' && !isSet(reader, 'transpose_a') && reader.inputs[0] === dy;

/** The first matmuls on every way down from some nodes that are not weight gradients themselves. */
function nextMatmuls(from: readonly GraphNode[], readers: ReadonlyMap<string, readonly GraphNode[]>): GraphNode[] {
  const seen = new Set(from);
  const waiting = [...from];
  const found: GraphNode[] = [];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    for (const reader of readers.get(node.name) ?? []) {
      if (seen.has(reader)) continue;
      seen.add(reader);
      if (!isMatmul(reader)) waiting.push(reader);
      else if (!isWeightGradient(reader)) found.push(reader);
    }
  }
  return found;
}

function readersByProducer(graph: Graph): ReadonlyMap<string, readonly GraphNode[]> {
  const readers = new Map<string, GraphNode[]>();
  for (const node of graph.nodes) {
    for (const input of new Set(node.inputs.map(producerOf))) {
      readers.set(input, [...(readers.get(input) ?? []), node]);
    }
  }
  return readers;
}
