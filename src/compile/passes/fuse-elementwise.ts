import { Graph } from '../graph.ts';
import type { DeviceKind } from '../placement.ts';
import { elementwiseParts, producersOf, readersOf, specOf } from './elementwise-parts.ts';
import { callAttrs, outline } from './outline.ts';
import { vectorLoops } from './vector-loops.ts';

/**
 * Chains of elementwise ops become functions that XLA compiles into one loop each: an op by itself reads and writes
 * every element from memory, a chain does so once. Large matmuls stay outside, where oneDNN and cuBLAS are at home.
 */

export function fuseElementwise(graph: Graph, fuseFrom: number, device: DeviceKind): Graph {
  const result = new Graph();
  const producers = producersOf(graph);
  const parts = elementwiseParts(graph, fuseFrom);
  const partOf = new Map(parts.flatMap((part) => part.map((node) => [node.name, part] as const)));
  const readers = readersOf(graph);
  const renamed = new Map<string, string>();

  // Nodes may stand in any order in a GraphDef; calls come first, so that their names are known to all readers.
  const calls = parts.map((part) => {
    const isRead = (output: string) => readers.get(output)?.some((reader) => partOf.get(reader.name) !== part) ?? false;
    const loops = device === 'cpu' ? vectorLoops(part, producers) : part;
    const { body, inputs, outputs } = outline('fused', loops, producers, isRead);
    result.functions.set(body.name, body);
    const specs = outputs.map((output) => specOf(output, producers));
    return { body, inputs, outputs, specs };
  });
  for (const [i, { outputs }] of calls.entries()) {
    for (const [k, output] of outputs.entries()) renamed.set(output, `fused_${i}:${k}`);
  }
  const rename = (input: string) => renamed.get(input) ?? input;
  for (const [i, { body, inputs, specs }] of calls.entries()) {
    result.add('PartitionedCall', inputs.map(rename), callAttrs(body), `fused_${i}`, specs);
  }
  for (const node of graph.nodes) {
    if (!partOf.has(node.name)) result.add(node.op, node.inputs.map(rename), node.attrs, node.name, node.outputs);
  }
  return result;
}
