import { Graph, type GraphNode } from '../graph.ts';
import { producerOf, producersOf } from './elementwise-parts.ts';
import { callAttrs, outline } from './outline.ts';

/**
 * Each signature becomes one function that XLA compiles whole: it reads the variables, computes, and writes them.
 * Outside are only the variables themselves, the feeds and the outputs. Because the function writes the variables
 * itself, their new values may take the place of the old ones, and the state never exists twice.
 *
 * XLA plans the memory and joins loops across layers, for which a GPU with many small kernels has most to gain. It
 * has its own arithmetic, and so its own last bits; on a GPU it may choose kernels by their time, so two processes may
 * differ there too. An id outside a table, which TensorFlow refuses on a CPU, reads the nearest row.
 */
export function wholeStepXla(graph: Graph, signatures: readonly string[]): Graph {
  const producers = producersOf(graph);
  const result = new Graph();
  const gone = new Set<string>();
  for (const signature of signatures) {
    const ends = graph.nodes.filter(({ name }) => name.startsWith(`${signature}/out/`));
    const part = inside(graph, ends, producers);
    const wanted = new Set(ends.map(({ inputs: [value] }) => value!));
    const { body, inputs, outputs } = outline('step', part, producers, (output) => wanted.has(output));
    result.functions.set(body.name, body);
    const call = result.add('StatefulPartitionedCall', inputs, callAttrs(body), `${signature}/xla`);
    const renamed = new Map(outputs.map((output, i) => [output, `${call}:${i}`]));
    for (const { name, op, inputs, attrs, outputs } of ends) {
      const [value] = inputs as [string];
      // An output is given out only after every write has happened, and the writes are in the call.
      result.add(op, [renamed.get(value) ?? value, `^${call}`], attrs, name, outputs);
    }
    for (const { name } of [...part, ...ends]) gone.add(name);
  }
  const rest = graph.nodes.filter(({ name }) => !gone.has(name));
  const read = new Set([...result.nodes, ...rest].flatMap(({ inputs }) => inputs.map(producerOf)));
  for (const { name, op, inputs, attrs, outputs } of rest) {
    // Most constants are in functions now.
    if (op !== 'Const' || inputs.length > 0 || read.has(name)) result.add(op, inputs, attrs, name, outputs);
  }
  return result;
}

/** Ops that stay in the graph: variables and feeds, which are given to the function. */
const givenTo = new Set(['VarHandleOp', 'Placeholder']);

/** What leads to some outputs, in order of execution, without what the function is given and without constants. */
function inside(
  graph: Graph,
  ends: readonly GraphNode[],
  producers: ReadonlyMap<string, GraphNode>,
): readonly GraphNode[] {
  const found = new Set<string>();
  const waiting = ends.flatMap(({ inputs }) => inputs.map(producerOf));
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const { op, inputs } = producers.get(name)!;
    if (found.has(name) || givenTo.has(op) || op === 'Const') continue;
    found.add(name);
    waiting.push(...inputs.map(producerOf));
  }
  return graph.nodes.flatMap((node) => (found.has(node.name) ? [forXla(node)] : []));
}

/**
 * Waiting for a signal (`notBefore`) is in XLA a barrier, which it moves nothing across. For a CPU it drops barriers
 * before it plans the memory: there rematerialised blocks are computed twice and save nothing.
 */
function forXla(node: GraphNode): GraphNode {
  return node.op === 'IdentityN' ? { ...node, op: 'XlaOptimizationBarrier' } : node;
}
