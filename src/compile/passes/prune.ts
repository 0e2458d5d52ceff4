import { Graph } from '../graph.ts';

/** Only what the roots (names of nodes) need. A dead reader would make a fused chain write out what nobody uses. */
export function prune(graph: Graph, roots: Iterable<string>): Graph {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const alive = new Set<string>();
  const waiting = [...roots];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (alive.has(name)) continue;
    alive.add(name);
    for (const input of nodes.get(name)!.inputs) waiting.push(input.replace(/^\^/, '').split(':')[0]!);
  }
  const result = new Graph();
  for (const { name, op, inputs, attrs, outputs } of graph.nodes) {
    if (alive.has(name)) result.add(op, inputs, attrs, name, outputs);
  }
  return result;
}
