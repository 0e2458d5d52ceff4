import { Graph } from '../graph.ts';
import { staysFloat32 } from '../trace.ts';

/**
 * TF.js writes every matmul as a batched one. Of two matrices it is the plain op, for which TensorFlow has kernels
 * and fusions that the batched one lacks.
 */
export function plainMatmuls(graph: Graph): Graph {
  const ranks = new Map(
    graph.nodes.flatMap(({ name, outputs }) =>
      outputs.map(({ shape }, i) => [`${name}:${i}` as string, shape.length] as const),
    ),
  );
  const result = new Graph();
  for (const { name, op, inputs, attrs, outputs } of graph.nodes) {
    if (op === 'BatchMatMulV2' && inputs.every((input) => ranks.get(input) === 2)) {
      const { T, adj_x, adj_y, [staysFloat32]: stays } = attrs;
      const plain = { T: T!, transpose_a: adj_x!, transpose_b: adj_y!, ...(stays && { [staysFloat32]: stays }) };
      result.add('MatMul', inputs, plain, name, outputs);
    } else result.add(op, inputs, attrs, name, outputs);
  }
  return result;
}
