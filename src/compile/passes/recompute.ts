import { dataTypes, Graph, type GraphNode, type OutputSpec } from '../graph.ts';
import { elementwiseParts, producerOf, producersOf, readersOf, specOf } from './elementwise-parts.ts';

/**
 * What one elementwise chain keeps for another (the GELU of the forward pass for its gradient) is computed again by
 * the reader where that takes less memory: the chain's own inputs then wait instead of its results. Inside one fused
 * loop the arithmetic is almost free, while every stored element is written and read, and lives from the forward to
 * the backward pass. Values don't change: the same ops on the same inputs.
 */
export function recomputeChains(graph: Graph, fuseFrom: number): Graph {
  const producers = producersOf(graph);
  const readers = readersOf(graph);
  const parts = elementwiseParts(graph, fuseFrom);
  const partOf = new Map(parts.flatMap((part) => part.map((node) => [node.name, part] as const)));
  /** For each part, what it computes again: nodes of other parts, in order. */
  const again = new Map<readonly GraphNode[], Set<GraphNode>>();

  for (const part of parts) {
    const outputs = part.filter((node) => {
      const outside = (readers.get(`${node.name}:0`) ?? []).filter((reader) => partOf.get(reader.name) !== part);
      return outside.length > 0 && outside.every((reader) => partOf.has(reader.name)) && size(node) >= fuseFrom;
    });
    const chains = outputs.map((output) => chainOf(output, part, producers)).filter((chain) => chain !== null);
    const kept = chains.map(({ nodes }) => bytes(nodes.at(-1)!.outputs[0]!)).reduce((a, b) => a + b, 0);
    const inputs = new Map(chains.flatMap((chain) => [...chain.inputs]));
    const waiting = [...inputs.values()].map(bytes).reduce((a, b) => a + b, 0);
    if (waiting >= kept) continue;
    for (const { nodes } of chains) {
      for (const reader of readers.get(`${nodes.at(-1)!.name}:0`)!) {
        const there = partOf.get(reader.name)!;
        if (there === part) continue;
        again.set(there, new Set([...(again.get(there) ?? []), ...nodes]));
      }
    }
  }
  return rewrite(graph, partOf, again);
}

const reductions = new Set(['Sum', 'Mean', 'Max']);
const size = (node: GraphNode) => node.outputs[0]!.shape.reduce((a, b) => a * b, 1);
const bytes = ({ shape, dtype }: OutputSpec) => shape.reduce((a, b) => a * b, dtype === dataTypes.bfloat16 ? 2 : 4);

/** The ops of a part that lead to `output`, in order, and what they read from elsewhere; null if one is a reduction. */
function chainOf(
  output: GraphNode,
  part: readonly GraphNode[],
  producers: ReadonlyMap<string, GraphNode>,
): { nodes: GraphNode[]; inputs: Map<string, OutputSpec> } | null {
  const wanted = new Set([output.name]);
  const nodes: GraphNode[] = [];
  const inputs = new Map<string, OutputSpec>();
  const inside = new Set(part.map(({ name }) => name));
  for (const node of [...part].reverse()) {
    if (!wanted.has(node.name)) continue;
    if (reductions.has(node.op)) return null;
    nodes.unshift(node);
    for (const input of node.inputs) {
      const producer = producers.get(producerOf(input))!;
      if (inside.has(producer.name)) wanted.add(producer.name);
      else if (producer.op !== 'Const') inputs.set(input, specOf(input, producers));
    }
  }
  return { nodes, inputs };
}

/** Each part with its own copy, right before its first op, of what it computes again. */
function rewrite(
  graph: Graph,
  partOf: ReadonlyMap<string, readonly GraphNode[]>,
  again: ReadonlyMap<readonly GraphNode[], ReadonlySet<GraphNode>>,
): Graph {
  const result = new Graph();
  const copied = new Map<readonly GraphNode[], Map<string, string>>();
  for (const node of graph.nodes) {
    const part = partOf.get(node.name);
    const chain = part && again.get(part);
    if (part && chain && !copied.has(part)) {
      const names = new Map<string, string>();
      copied.set(part, names);
      for (const { name, op, inputs, attrs, outputs } of inOrder(graph, chain)) {
        const from = inputs.map((input) => names.get(input) ?? input);
        names.set(`${name}:0`, `${result.add(op, from, attrs, `${name}_for_${node.name}`, outputs)}:0`);
      }
    }
    const names = part && copied.get(part);
    const inputs = node.inputs.map((input) => names?.get(input) ?? input);
    result.add(node.op, inputs, node.attrs, node.name, node.outputs);
  }
  return result;
}

function inOrder(graph: Graph, chain: ReadonlySet<GraphNode>): GraphNode[] {
  return graph.nodes.filter((node) => chain.has(node));
}
