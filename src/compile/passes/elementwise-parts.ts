import type { Graph, GraphNode, OutputSpec } from '../graph.ts';
import { fusesFrom } from '../trace.ts';

/**
 * The parts of a graph that can become one loop each.
 *
 * A run of fusible ops with nothing else between them in the recorded order can be taken out without making a cycle:
 * whatever lies outside comes wholly before or wholly after it. A run is split into its connected parts, so that
 * the same chain in another layer, or for another parameter, is the same function and is compiled once.
 */

/** Ops that XLA joins to one loop. */
const fusible: ReadonlySet<string> = new Set([
  ...['Add', 'AddV2', 'Sub', 'Mul', 'RealDiv', 'Div', 'Maximum', 'Minimum', 'Pow'],
  ...['Neg', 'Square', 'Sqrt', 'Rsqrt', 'Exp', 'Log', 'Log1p', 'Tanh', 'Sigmoid', 'Abs', 'Cast', 'Softplus'],
  ...['Sum', 'Mean', 'Max', 'Reshape'],
]);

/** The parts worth fusing, whose largest tensor has at least `fuseFrom` elements. */
export function elementwiseParts(graph: Graph, fuseFrom: number): GraphNode[][] {
  const producers = producersOf(graph);
  const readers = readersOf(graph);
  return runsOf(graph)
    .flatMap((run) => connectedParts(run, producers))
    .map((part) => withoutOuterReshapes(part, readers))
    .filter((part) => worthwhile(part, producers, fuseFrom));
}

/** The nodes of a graph by name. */
export const producersOf = (graph: Graph): ReadonlyMap<string, GraphNode> =>
  new Map(graph.nodes.map((node) => [node.name, node]));

/** Maximal stretches of fusible ops in recorded order; constants stand where they were first needed and don't count. */
function runsOf(graph: Graph): GraphNode[][] {
  const runs: GraphNode[][] = [[]];
  for (const node of graph.nodes) {
    if (node.op === 'Const') continue;
    if (fusible.has(node.op)) runs.at(-1)!.push(node);
    else if (runs.at(-1)!.length > 0) runs.push([]);
  }
  return runs;
}

/** The node that an input comes from. */
export const producerOf = (input: string) => input.replace(/^\^/, '').split(':')[0]!;

/** Type and shape of an output, `node:index`. */
export const specOf = (output: string, producers: ReadonlyMap<string, GraphNode>): OutputSpec =>
  producers.get(producerOf(output))!.outputs[Number(output.split(':')[1])]!;

/**
 * The parts of a run that hang together by more than scalars. A scalar such as the clipping factor of the gradients
 * must not tie the updates of all parameters into one function; parts that would then wait for one another are one.
 */
function connectedParts(run: readonly GraphNode[], producers: ReadonlyMap<string, GraphNode>): GraphNode[][] {
  const group = new Map(run.map((node) => [node.name, node.name]));
  const find = (name: string): string => {
    const up = group.get(name)!;
    if (up === name) return name;
    const top = find(up);
    group.set(name, top);
    return top;
  };
  const scalarEdges: [from: string, to: string][] = [];
  for (const node of run) {
    for (const input of node.inputs) {
      const producer = producers.get(producerOf(input))!;
      if (!group.has(producer.name)) continue;
      if (producer.outputs[0]!.shape.length === 0 && node.outputs[0]!.shape.length > 0) {
        scalarEdges.push([producer.name, node.name]);
      } else group.set(find(node.name), find(producer.name));
    }
  }
  // Two parts that reach each other through scalars are merged, until no such pair is left.
  for (let merged = true; merged; ) {
    merged = false;
    const next = new Map<string, Set<string>>();
    for (const [from, to] of scalarEdges) {
      const [a, b] = [find(from), find(to)];
      if (a !== b) next.set(a, (next.get(a) ?? new Set()).add(b));
    }
    const reaches = (from: string, to: string, seen = new Set<string>()): boolean => {
      if (from === to) return true;
      if (seen.has(from)) return false;
      seen.add(from);
      return [...(next.get(from) ?? [])].some((step) => reaches(step, to, seen));
    };
    for (const [from, to] of scalarEdges) {
      const [a, b] = [find(from), find(to)];
      if (a !== b && reaches(b, a)) {
        group.set(a, b);
        merged = true;
        break;
      }
    }
  }
  const parts = new Map<string, GraphNode[]>();
  for (const node of run) parts.set(find(node.name), [...(parts.get(find(node.name)) ?? []), node]);
  return [...parts.values()];
}

/** A single op gains nothing, and small tensors are not worth a call. */
function worthwhile(part: readonly GraphNode[], producers: ReadonlyMap<string, GraphNode>, fuseFrom: number): boolean {
  const working = part.filter(({ op }) => op !== 'Reshape');
  if (working.length < 2) return false;
  const nodes = part.flatMap((node) => [node, ...node.inputs.map((input) => producers.get(producerOf(input))!)]);
  const sizes = nodes.flatMap(({ outputs }) => outputs.map(({ shape }) => shape.reduce((a, b) => a * b, 1)));
  return Math.max(...sizes) >= Math.max(2, fuseFrom, ...working.map(seldom));
}

const seldom = ({ attrs }: GraphNode): number => {
  const value = attrs[fusesFrom];
  return value !== undefined && 'i' in value ? value.i : 0;
};

/** The nodes that read each output. */
export function readersOf(graph: Graph): ReadonlyMap<string, readonly GraphNode[]> {
  const readers = new Map<string, GraphNode[]>();
  for (const node of graph.nodes) {
    for (const input of node.inputs) readers.set(input, [...(readers.get(input) ?? []), node]);
  }
  return readers;
}

/**
 * A reshape at the border of a part is better left out: by itself it costs nothing, as the result of a compiled
 * function it is a copy.
 */
function withoutOuterReshapes(
  part: readonly GraphNode[],
  readers: ReadonlyMap<string, readonly GraphNode[]>,
): GraphNode[] {
  const inside = new Map(part.map((node) => [node.name, node]));
  for (let count = -1; count !== inside.size; ) {
    count = inside.size;
    for (const node of part) {
      if (node.op !== 'Reshape') continue;
      const first = !inside.has(producerOf(node.inputs[0]!));
      const last = (readers.get(`${node.name}:0`) ?? []).every((reader) => !inside.has(reader.name));
      if (first || last) inside.delete(node.name);
    }
  }
  return [...inside.values()];
}
