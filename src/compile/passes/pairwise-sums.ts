import { Graph, type GraphNode } from '../graph.ts';

/** The mark of nodes that `AddOpsRewriteStage` of TensorFlow's arithmetic_optimizer.cc has dealt with. */
const dealtWith = '_grappler_ArithmeticOptimizer_AddOpsRewriteStage';

/**
 * Keeps sums of three and more as they are written, in pairs. TensorFlow's optimiser would make an AddN of them, which
 * starts with the input whose memory it can take over: a matter of timing, so that two runs could differ in the last bit.
 */
export function pairwiseSums(graph: Graph): Graph {
  const result = new Graph();
  const marked = <N extends Pick<GraphNode, 'op' | 'attrs'>>(node: N): N =>
    node.op === 'AddV2' || node.op === 'Add' ? { ...node, attrs: { ...node.attrs, [dealtWith]: { b: true } } } : node;
  for (const [name, body] of graph.functions)
    result.functions.set(name, { ...body, body: body.body.map((node) => marked(node)) });
  for (const { name, op, inputs, attrs, outputs } of graph.nodes.map(marked))
    result.add(op, inputs, attrs, name, outputs);
  return result;
}
