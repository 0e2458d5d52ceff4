import { dataTypes, type Graph, type GraphNode } from '../graph.ts';

/** Multiply-adds that are worth a call of a function, for each element from which a chain is worth one. */
const productsForElement = 256;

/**
 * The batched products of float32, such as those of attention, that are large enough to be functions which XLA compiles.
 * On a CPU without AVX-512 oneDNN takes about twice as long for them, while it is as good as XLA at plain matmuls
 * (measured in the README of this folder).
 */
export function batchedMatmuls(graph: Graph, fuseFrom: number): GraphNode[][] {
  const shapes = new Map<string, readonly number[]>(
    graph.nodes.flatMap(({ name, outputs }) => outputs.map(({ shape }, i) => [`${name}:${i}`, shape] as const)),
  );
  const isLarge = ({ inputs, outputs, attrs }: GraphNode) => {
    const left = shapes.get(inputs[0]!)!;
    const adjoint = 'b' in attrs.adj_x! && attrs.adj_x.b;
    const products = outputs[0]!.shape.reduce((a, b) => a * b, left.at(adjoint ? -2 : -1)!);
    return products >= productsForElement * fuseFrom;
  };
  const isFloat32 = ({ T }: GraphNode['attrs']) => T !== undefined && 'type' in T && T.type === dataTypes.float32;
  return graph.nodes
    .filter((node) => node.op === 'BatchMatMulV2' && isFloat32(node.attrs) && isLarge(node))
    .map((node) => [node]);
}
