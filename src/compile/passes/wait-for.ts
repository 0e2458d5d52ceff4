import { Graph } from '../graph.ts';

/**
 * What `rematerialise` records as IdentityN (x, signal) becomes an Identity of x with a control edge from the signal.
 * TensorFlow's optimiser looks through an IdentityN, finds that the second forward pass repeats the first, and keeps
 * the activations of the first after all; a control edge it respects. Last of all passes, since the others know no
 * control edges.
 */
export function waitForSignals(graph: Graph): Graph {
  const result = new Graph();
  for (const [name, body] of graph.functions) result.functions.set(name, body);
  for (const { name, op, inputs, attrs, outputs } of graph.nodes) {
    if (op === 'IdentityN') {
      const [x, signal] = inputs as [string, string];
      const { dtype } = outputs[0]!;
      result.add('Identity', [x, `^${signal.split(':')[0]}`], { T: { type: dtype } }, name, [outputs[0]!]);
    } else result.add(op, inputs, attrs, name, outputs);
  }
  return result;
}
