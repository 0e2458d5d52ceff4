import { createHash } from 'node:crypto';
import { canonicalJson } from '../../checkpoint/identity.ts';
import { type AttrValue, Graph, type GraphFunction, type GraphNode } from '../graph.ts';
import { elementwiseParts, outputArgument, producerOf, producersOf, readersOf } from './elementwise-parts.ts';

/**
 * Chains of elementwise ops become functions that XLA compiles into one loop each: an op by itself reads and writes
 * every element from memory, a chain does so once. Large matmuls stay outside, where oneDNN and cuBLAS are at home.
 */

/** A constant up to this size moves into the function; shapes and axes must, since XLA wants them at compile time. */
const smallConstant = 1024;

export function fuseElementwise(graph: Graph, fuseFrom: number): Graph {
  const result = new Graph();
  const producers = producersOf(graph);
  const parts = elementwiseParts(graph, fuseFrom);
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
