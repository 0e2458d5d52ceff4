import { isFloat32, isSet } from '../attributes.ts';
import { Graph, type GraphNode } from '../graph.ts';
import { producersOf, specOf } from './elementwise-parts.ts';
import { callAttrs, outline } from './outline.ts';

/** Multiply-adds that are worth a call of a function, for each element from which a chain is worth one. */
const productsForElement = 256;

/**
 * Batched products of float32, such as those of attention, become functions that XLA compiles where they are large. On a CPU
 * with AVX2 alone oneDNN takes about twice as long for them, while it is as good as XLA at plain matmuls (measured in the
 * README of this folder). After the passes that order matmuls, which know them by their op.
 */
export function batchedMatmuls(graph: Graph, fuseFrom: number): Graph {
  const producers = producersOf(graph);
  const result = new Graph();
  for (const [name, body] of graph.functions) result.functions.set(name, body);
  for (const node of graph.nodes) {
    const isBatched = node.op === 'BatchMatMulV2' && isFloat32(node);
    if (!isBatched || multiplyAdds(node, producers) < productsForElement * fuseFrom) {
      result.add(node.op, node.inputs, node.attrs, node.name, node.outputs);
      continue;
    }
    const { body, inputs } = outline('product', [node], producers, () => true);
    result.functions.set(body.name, body);
    const waits = node.inputs.filter((input) => input.startsWith('^'));
    result.add('PartitionedCall', [...inputs, ...waits], callAttrs(body), node.name, node.outputs);
  }
  return result;
}

function multiplyAdds(node: GraphNode, producers: ReadonlyMap<string, GraphNode>): number {
  const { shape } = specOf(node.inputs[0]!, producers);
  return node.outputs[0]!.shape.reduce((a, b) => a * b, shape.at(isSet(node, 'adj_x') ? -2 : -1)!);
}
