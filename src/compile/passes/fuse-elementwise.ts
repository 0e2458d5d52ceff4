import { createHash } from 'node:crypto';
import { canonicalJson } from '../../checkpoint/identity.ts';
import { type AttrValue, Graph, type GraphFunction, type GraphNode } from '../graph.ts';

/**
 * Chains of elementwise ops become functions that XLA compiles into one loop each: an op by itself reads and writes
 * every element from memory, a chain does so once. Large matmuls stay outside, where oneDNN and cuBLAS are at home.
 *
 * A run of fusible ops with nothing else between them in the recorded order can be taken out without making a cycle:
 * whatever lies outside comes wholly before or wholly after it. A run is split into its connected parts, so that
 * the same chain in another layer, or for another parameter, is the same function and is compiled once.
 */

/** Fusible ops, with the name that their definition gives to their output. */
const outputArgument: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['Add', 'AddV2', 'Sub', 'Mul', 'RealDiv', 'Div', 'Maximum', 'Minimum', 'Pow'].map((op) => [op, 'z']),
  ),
  ...Object.fromEntries(
    ['Neg', 'Square', 'Sqrt', 'Rsqrt', 'Exp', 'Log', 'Log1p', 'Tanh', 'Sigmoid', 'Abs', 'Cast'].map((op) => [op, 'y']),
  ),
  ...Object.fromEntries(['Sum', 'Mean', 'Max', 'Reshape'].map((op) => [op, 'output'])),
  Softplus: 'activations',
};

/** A constant up to this size moves into the function; shapes and axes must, since XLA wants them at compile time. */
const smallConstant = 1024;

export function fuseElementwise(graph: Graph, fuseFrom: number): Graph {
  const result = new Graph();
  const producers = new Map(graph.nodes.map((node) => [node.name, node]));
  const parts = runsOf(graph)
    .flatMap((run) => connectedParts(run, producers))
    .filter((part) => worthwhile(part, producers, fuseFrom));
  const partOf = new Map(parts.flatMap((part) => part.map((node) => [node.name, part] as const)));
  const readers = readersOf(graph);
  const renamed = new Map<string, string>();

  // Nodes may stand in any order in a GraphDef; calls come first, so that their names are known to all readers.
  const calls = parts.map((part) => {
    const { body, inputs, outputs } = outline(part, producers, readers, partOf);
    result.functions.set(body.name, body);
    return { body, inputs, outputs };
  });
  for (const [i, { outputs }] of calls.entries()) {
    for (const [k, output] of outputs.entries()) renamed.set(output, `fused_${i}:${k}`);
  }
  const rename = (input: string) => renamed.get(input) ?? input;
  for (const [i, { body, inputs }] of calls.entries()) {
    const attrs: Record<string, AttrValue> = {
      Tin: { list: { type: body.inputs.map(({ dtype }) => dtype) } },
      Tout: { list: { type: body.outputs.map(({ dtype }) => dtype) } },
      f: { func: { name: body.name } },
      config: { s: new Uint8Array() },
      config_proto: { s: new Uint8Array() },
      executor_type: { s: new Uint8Array() },
      _XlaMustCompile: { b: true },
    };
    result.add('PartitionedCall', inputs.map(rename), attrs, `fused_${i}`);
  }
  for (const node of graph.nodes) {
    if (!partOf.has(node.name)) result.add(node.op, node.inputs.map(rename), node.attrs, node.name, node.outputs);
  }
  return result;
}

/** Maximal stretches of fusible ops in recorded order; constants stand where they were first needed and don't count. */
function runsOf(graph: Graph): GraphNode[][] {
  const runs: GraphNode[][] = [[]];
  for (const node of graph.nodes) {
    if (node.op === 'Const') continue;
    if (outputArgument[node.op] !== undefined) runs.at(-1)!.push(node);
    else if (runs.at(-1)!.length > 0) runs.push([]);
  }
  return runs;
}

const producerOf = (input: string) => input.replace(/^\^/, '').split(':')[0]!;

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
  return Math.max(...sizes) >= Math.max(2, fuseFrom);
}

function readersOf(graph: Graph): ReadonlyMap<string, readonly GraphNode[]> {
  const readers = new Map<string, GraphNode[]>();
  for (const node of graph.nodes) {
    for (const input of node.inputs) readers.set(input, [...(readers.get(input) ?? []), node]);
  }
  return readers;
}

/** The function of a part, named by its content, with the graph outputs that it reads and those that it stands for. */
function outline(
  part: readonly GraphNode[],
  producers: ReadonlyMap<string, GraphNode>,
  readers: ReadonlyMap<string, readonly GraphNode[]>,
  partOf: ReadonlyMap<string, readonly GraphNode[]>,
): { body: GraphFunction; inputs: string[]; outputs: string[] } {
  const inside = new Map(part.map((node, i) => [`${node.name}:0`, `n${i}:${outputArgument[node.op]}:0`]));
  const inputs: string[] = [];
  const body: Omit<GraphNode, 'outputs'>[] = [];
  const reference = (input: string): string => {
    const known = inside.get(input);
    if (known !== undefined) return known;
    const { op, attrs } = producers.get(producerOf(input))!;
    const value = attrs.value;
    let name: string;
    if (op === 'Const' && value !== undefined && 'tensor' in value && value.tensor.content.length <= smallConstant) {
      name = `c${body.length}:output:0`;
      body.push({ name: `c${body.length}`, op, inputs: [], attrs });
    } else {
      name = `x${inputs.length}`;
      inputs.push(input);
    }
    inside.set(input, name);
    return name;
  };
  for (const [i, { op, inputs: from, attrs }] of part.entries()) {
    const references = from.map(reference);
    body.push({ name: `n${i}`, op, inputs: references, attrs });
  }
  const outputs = part
    .map(({ name }) => `${name}:0`)
    .filter((output) => readers.get(output)?.some((reader) => partOf.get(reader.name) !== part));
  const dtypeOf = (output: string) => producers.get(producerOf(output))!.outputs[Number(output.split(':')[1])]!.dtype;
  const content = {
    inputs: inputs.map((input, i) => ({ name: `x${i}`, dtype: dtypeOf(input) })),
    outputs: outputs.map((output, i) => ({ name: `y${i}`, dtype: dtypeOf(output), value: inside.get(output)! })),
    body,
  };
  const name = `fused_${createHash('sha256').update(canonicalJson(content)).digest('hex').slice(0, 16)}`;
  return { body: { name, ...content }, inputs, outputs };
}
